-- Groups contain groups. The containment must stay a DAG, and no constraint can say so: that is what
-- the locks of these scenarios are for.
CREATE TABLE usergroup (
    id          bigint  PRIMARY KEY,
    realm       bigint  NOT NULL,
    name        text    NOT NULL,
    deactivated boolean NOT NULL DEFAULT false,
    UNIQUE (realm, name)
);

-- The foreign keys are deferred, as web frameworks like to have them: they are checked at COMMIT,
-- and that check takes a FOR KEY SHARE lock on both groups.
CREATE TABLE membership (
    supergroup bigint NOT NULL REFERENCES usergroup (id) DEFERRABLE INITIALLY DEFERRED,
    subgroup   bigint NOT NULL REFERENCES usergroup (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (supergroup, subgroup)
);

INSERT INTO usergroup (id, realm, name) VALUES
    ( 1, 1, 'foo0'), ( 2, 1, 'foo1'), ( 3, 1, 'foo2'),
    ( 4, 1, 'bar0'), ( 5, 1, 'bar1'), ( 6, 1, 'bar2'),
    ( 7, 1, 'baz0'), ( 8, 1, 'baz1'), ( 9, 1, 'baz2'),
    (10, 2, 'foo0');
