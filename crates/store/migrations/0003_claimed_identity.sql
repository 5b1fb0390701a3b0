-- Who a caller said he was, when nobody vouched for it. `user` is then the guest he was in the roster: a claimed From
-- must never be read as an authenticated user.
ALTER TABLE cdrs ADD COLUMN claimed TEXT;
