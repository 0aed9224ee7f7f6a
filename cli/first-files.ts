/** What `syncline init` writes: small, commented, and valid as it is. */

export const firstStoresFile = `# Where your databases are. Workers read this file; job files only name the stores.
# Secrets come from the environment, \${NAME} or \${NAME:default}, or from a file, \${file:/run/secrets/name}.
stores:
  prod:
    kind: postgres
    url: '\${PROD_URL}' # postgres://user:password@host:5432/database?sslmode=require
    connections: 8 # most sessions that one worker holds on this server
  dr:
    kind: postgres
    url: '\${DR_URL}'
  # vault: # for backup-restore.yaml: a directory, an s3 bucket or an sftp server
  #   kind: directory
  #   path: /var/backups/syncline
  #   encryption: { key: '\${BACKUP_KEY}' } # 32 bytes; openssl rand -hex 32 makes one
  #   taskQueue: dr-site # only if it lies at another site: workers there poll this queue
temporal:
  taskQueue: syncline
  # profile: default    # of Temporal's client configuration; TEMPORAL_ADDRESS and the like work too
worker:
  shutdownGraceTime: 30s # after SIGTERM, chunks in flight may take this long
  log: { level: info }
  # metrics: { address: 127.0.0.1:9464 } # Prometheus
  # health: { address: 127.0.0.1:8080 } # GET /health
  # http: { address: 127.0.0.1:9465 } # GET /jobs, to read only
`;

export const firstJobFile = `# yaml-language-server: $schema=./syncline.schema.json
# One job; a file may hold several, separated by ---. \`syncline validate copy.yaml\` checks it.
kind: copy
name: my-first-copy
source:
  store: prod
  tables: [public.my_table] # wildcards work: public.trades_*
target:
  store: dr
  mode: replace # or append, upsert
  createTables: true # from the source's catalogue, partitions, keys and indexes included
run:
  parallel: 4 # chunks (partitions) in flight
  verify: digest # none, count, or digest: compare content on both servers
# schedule: { cron: '30 22 * * *', timezone: Europe/Berlin } # then: syncline apply copy.yaml
`;

export const firstBackupFile = `# yaml-language-server: $schema=./syncline.schema.json
# Tables into files; the files to another place, and back into a database. Put a store \`vault\` into syncline.yaml.
kind: backup-restore
name: my-first-backup
stages: [backup] # any contiguous part of [backup, transfer, restore]: [backup] here, carry the disk, [restore] there
source:
  store: prod
  tables: [public.my_table]
backup:
  store: vault
  path: my-first-backup/ # of this job alone
  encrypt: false # true: with the key of the store
  incremental: true # unchanged chunks refer to the latest full backup
# With stages transfer and restore; a job of [restore] alone reads where \`backup\` says.
# transfer: { to: { store: far-vault, path: my-first-backup/ } }
# restore: { store: dr, mode: replace, createTables: true, only: changed }
keep: { last: 7, days: 30 } # whichever keeps more
# schedule: { cron: '30 22 * * *', timezone: Europe/Berlin } # then: syncline apply backup-restore.yaml
`;
