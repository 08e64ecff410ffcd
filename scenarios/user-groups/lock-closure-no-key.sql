-- lock-closure.sql with the weaker lock, which lets others refer to the locked groups.
WITH RECURSIVE closure AS (
    SELECT id FROM usergroup WHERE id = ANY ($1) AND realm = $2
    UNION
    SELECT membership.subgroup FROM membership JOIN closure ON membership.supergroup = closure.id
)
SELECT id FROM usergroup WHERE id IN (SELECT id FROM closure)
ORDER BY id
FOR NO KEY UPDATE NOWAIT
