-- How many groups contain themselves, directly or through others. UNION, not UNION ALL, lets the
-- recursion end where there are cycles.
WITH RECURSIVE reach AS (
    SELECT supergroup AS origin, subgroup AS reached FROM membership
    UNION
    SELECT reach.origin, membership.subgroup
    FROM reach JOIN membership ON membership.supergroup = reach.reached
)
SELECT count(*) FROM reach WHERE origin = reached
