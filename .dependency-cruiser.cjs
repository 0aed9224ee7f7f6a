/**
 * The import directions of ARCHITECTURE.md, one named rule each.
 * definitions <- planning <- workflows;  definitions, planning, stores/spi <- activities <- worker.
 */
const ours = '^(definitions|planning|workflows|activities|stores|worker|cli)/';
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'definitions-are-a-leaf',
      comment: 'What a job is depends on nothing of ours.',
      severity: 'error',
      from: { path: '^definitions/' },
      to: { path: ours, pathNot: '^definitions/' },
    },
    {
      name: 'contracts-are-plain',
      comment: 'What crosses Temporal is types and constants: no zod, no yaml, no Node.',
      severity: 'error',
      from: { path: '^definitions/(contracts/|errors[.]ts)' },
      to: { pathNot: '^definitions/(contracts/|errors[.]ts)' },
    },
    {
      name: 'planning-is-pure',
      comment:
        'Decisions are functions of their arguments, so that they can be tested exhaustively and replayed.',
      severity: 'error',
      from: { path: '^planning/' },
      to: { pathNot: '^(planning/|definitions/(contracts/|errors[.]ts))' },
    },
    {
      name: 'workflows-see-contracts-only',
      severity: 'error',
      from: { path: '^workflows/' },
      to: {
        pathNot:
          '^(workflows/|planning/|definitions/(contracts/|errors[.]ts)|node_modules/@temporalio/(workflow|common)/)',
      },
    },
    {
      name: 'workflows-reach-nothing-non-deterministic',
      comment: 'zod in a workflow costs half a megabyte per cached workflow; Node modules do not replay.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: {
        path: '(^definitions/schema/|node_modules/(zod|yaml|pino|pg)/|^(activities|stores|worker|cli)/)',
        reachable: true,
      },
    },
    {
      name: 'spi-knows-no-store',
      severity: 'error',
      from: { path: '^stores/spi/' },
      to: { path: ours, pathNot: '^(stores/spi/|definitions/|planning/)' },
    },
    {
      name: 'stores-know-no-sister',
      comment: 'stores/X never sees stores/Y; only registry.ts knows them all.',
      severity: 'error',
      from: { path: '^stores/([^/]+)/' },
      to: { path: '^stores/([^/]+)/', pathNot: '^stores/(spi|$1)/' },
    },
    {
      name: 'stores-know-no-orchestration',
      severity: 'error',
      from: { path: '^stores/' },
      to: { path: '^(activities|workflows|worker|cli)/' },
    },
    {
      name: 'activities-see-the-spi',
      comment: 'Activities are store-blind: they ask for a capability.',
      severity: 'error',
      from: { path: '^activities/' },
      to: { path: '^(stores/(?!spi/)|workflows/|worker/|cli/)' },
    },
    {
      name: 'worker-knows-no-cli',
      severity: 'error',
      from: { path: '^worker/' },
      to: { path: '^cli/' },
    },
    {
      name: 'cli-talks-by-contract',
      severity: 'error',
      from: { path: '^cli/' },
      to: { path: '^workflows/', pathNot: '^workflows/messages[.]ts$' },
    },
    {
      name: 'nothing-imports-tests',
      comment: 'Chaos runs are tests, started from the command line: they use the same laboratory.',
      severity: 'error',
      from: { pathNot: '^(test/|scripts/chaos)' },
      to: { path: '^test/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
