-- Three chains, each group containing the next: foo 1 > 2 > 3, bar 4 > 5 > 6, baz 7 > 8 > 9.
DELETE FROM membership;
INSERT INTO membership (supergroup, subgroup) VALUES (1, 2), (2, 3), (4, 5), (5, 6), (7, 8), (8, 9);
UPDATE usergroup SET deactivated = false WHERE deactivated;
