-- A price table is every tenant's: only the owner installs one, by a command or a setting.
revoke insert on price_tables from lumatrace_app;
