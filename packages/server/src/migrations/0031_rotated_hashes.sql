-- Hashes of API keys and of subjects move to a new version of the secret that makes them when they are used.
grant update (key_hash, pepper_version) on api_keys to lumatrace_app;
grant update (subject_index) on oidc_identities to lumatrace_app;
