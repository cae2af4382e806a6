-- Where a session was opened, in words of a few kinds such as "Firefox on Linux": to know one's own sessions again. Never the
-- text that the browser sent.
alter table sessions add column device text check (length(device) between 1 and 80);
