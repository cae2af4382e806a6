// The server settings of the embedded PostgreSQL: one table, written to postgresql.conf at every start.

/**
 * For one machine that also runs Node. Durability is never traded: fsync, synchronous_commit and full_page_writes stay on.
 * An operator's own lines go to `postgres.conf` beside the cluster; they are read last and win.
 */
export const SETTINGS: Readonly<Record<string, string>> = {
  // reachable through the private socket only
  listen_addresses: "''",
  unix_socket_permissions: '0700',
  port: '5432',
  max_connections: '40',
  superuser_reserved_connections: '3',

  // memory: allocated is not touched, an idle instance keeps a fraction of it resident
  shared_buffers: '128MB',
  work_mem: '8MB',
  maintenance_work_mem: '64MB',
  effective_cache_size: '1GB',
  huge_pages: 'off',
  wal_buffers: '8MB',

  // acknowledged means durable
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  wal_level: 'replica',
  max_wal_senders: '0',
  max_replication_slots: '0',
  max_logical_replication_workers: '0',
  // ingest writes much WAL in bursts: few, spread checkpoints keep full-page images rare. pglz, the only compression in
  // these binaries, costs more CPU than it saves disk on two cores
  max_wal_size: '2GB',
  min_wal_size: '192MB',
  checkpoint_timeout: '15min',
  checkpoint_completion_target: '0.9',
  wal_compression: 'off',

  // spans are appended and dropped by the day; small tables are updated often
  autovacuum_max_workers: '2',
  autovacuum_worker_slots: '4',
  autovacuum_naptime: '60s',
  autovacuum_vacuum_insert_scale_factor: '0.5',
  autovacuum_analyze_scale_factor: '0.05',
  autovacuum_vacuum_cost_limit: '800',

  // planner: solid state disks, short queries
  jit: 'off',
  random_page_cost: '1.1',
  max_worker_processes: '4',
  max_parallel_workers: '2',
  max_parallel_workers_per_gather: '1',
  io_method: 'sync',
  // a question over a year of one-day partitions locks each of them and its indexes
  max_locks_per_transaction: '256',

  // values of rows never reach a log: no statements, no details, no errors that quote input
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
  log_line_prefix: "''",
  log_timezone: "'UTC'",
  timezone: "'UTC'",
  update_process_title: 'off',
};

/** For throw-away clusters of tests: nothing in them outlives the run. */
export const THROW_AWAY_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '150',
  shared_buffers: '64MB',
};

/** Text of postgresql.conf. `overrides` win over the table, the operator's file, if there is one, wins over both. */
export function settingsFile(
  socketDir: string,
  overrides: Readonly<Record<string, string>>,
  operatorFile: string | undefined,
): string {
  const settings = { ...SETTINGS, unix_socket_directories: quote(socketDir), ...overrides };
  return [
    '# Written by LumaTrace at every start; put your own settings into postgres.conf beside this folder.',
    ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
    ...(operatorFile === undefined ? [] : [`include = ${quote(operatorFile)}`]),
    '',
  ].join('\n');
}

/** A string of postgresql.conf: quotes and backslashes doubled. A comma would split a list of folders: quoted once more. */
function quote(path: string): string {
  const text = /[\s,"]/.test(path) ? `"${path.replaceAll('"', '""')}"` : path;
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
