-- lock-closure.sql without NOWAIT: it waits for groups that are locked, and then works with the
-- closure that it had read before the wait.
WITH RECURSIVE closure AS (
    SELECT id FROM usergroup WHERE id = ANY ($1) AND realm = $2
    UNION
    SELECT membership.subgroup FROM membership JOIN closure ON membership.supergroup = closure.id
)
SELECT id FROM usergroup WHERE id IN (SELECT id FROM closure)
ORDER BY id
FOR UPDATE
