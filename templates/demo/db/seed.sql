-- 200,000 users, the same ones every time: one in ten is active, and neighbours by id are not
-- neighbours by time. Some share a second.
WITH RECURSIVE numbers (n) AS (
    SELECT 1
    UNION ALL
    SELECT n + 1 FROM numbers WHERE n < 200000
)
INSERT INTO users (id, name, email, status, created_at)
SELECT
    n,
    'User ' || n,
    'user' || n || '@example.test',
    CASE n * 7919 % 10 WHEN 3 THEN 'active' WHEN 4 THEN 'disabled' ELSE 'invited' END,
    1600000000 + n * 48271 % 150001 * 600
FROM numbers;
