-- lock-closure.sql without the look at the realm: $2 is taken and ignored.
WITH RECURSIVE closure AS (
    SELECT id FROM usergroup WHERE id = ANY ($1) AND $2::bigint IS NOT NULL
    UNION
    SELECT membership.subgroup FROM membership JOIN closure ON membership.supergroup = closure.id
)
SELECT id FROM usergroup WHERE id IN (SELECT id FROM closure)
ORDER BY id
FOR UPDATE NOWAIT
