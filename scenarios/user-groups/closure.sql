-- The groups $1 of realm $2 and everything below them, read without any lock.
WITH RECURSIVE closure AS (
    SELECT id FROM usergroup WHERE id = ANY ($1) AND realm = $2
    UNION
    SELECT membership.subgroup FROM membership JOIN closure ON membership.supergroup = closure.id
)
SELECT id FROM closure ORDER BY id
