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
temporal:
  taskQueue: syncline
  # profile: default    # of Temporal's client configuration; TEMPORAL_ADDRESS and the like work too
worker:
  shutdownGraceTime: 30s # after SIGTERM, chunks in flight may take this long
  log: { level: info }
  # metrics: { address: 127.0.0.1:9464 } # Prometheus
  # health: { address: 127.0.0.1:8080 } # GET /health
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
