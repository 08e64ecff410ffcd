-- Locks the groups $1 of realm $2 and everything below them. Whoever finds one of them locked gives
-- up at once (NOWAIT) and does not wait: the recursion above the lock has been evaluated by then, and
-- a closure that was read before a wait is out of date after it (see stale-closure.toml).
--
-- ORDER BY, because rows are locked in the order in which they are found. Two overlapping closures
-- that met in opposite orders would refuse each other, and both would fail.
WITH RECURSIVE closure AS (
    SELECT id FROM usergroup WHERE id = ANY ($1) AND realm = $2
    UNION
    SELECT membership.subgroup FROM membership JOIN closure ON membership.supergroup = closure.id
)
SELECT id FROM usergroup WHERE id IN (SELECT id FROM closure)
ORDER BY id
FOR UPDATE NOWAIT
