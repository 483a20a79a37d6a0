// Who may import whom. `npm run imports` checks it, and CI with it.

const spec = '\\.(spec|fixture|suite)\\.ts$';
const tests = `${spec}|^e2e/|^bench/|^scripts/|^libs/testing/`;

/** The line of libs: each may import what is listed, and nothing else of ours. */
const libs = {
  contracts: [],
  builds: ['contracts'],
  events: ['contracts'],
  storage: ['contracts'],
  messaging: ['contracts', 'storage'],
  invocation: ['contracts', 'storage', 'messaging'],
  boot: ['contracts', 'storage', 'messaging', 'invocation'],
  client: ['contracts'],
  servers: [],
  testing: ['contracts', 'storage', 'messaging', 'invocation', 'boot', 'client', 'servers'],
};

const line = Object.entries(libs).map(([name, allowed]) => ({
  name: `libs-stand-in-line-${name}`,
  comment: `libs/${name} imports of ours only: ${allowed.join(', ') || 'nothing'}.`,
  severity: 'error',
  from: { path: `^libs/${name}/`, pathNot: spec },
  to: { path: '^(libs|apps)/', pathNot: [name, ...allowed].map((lib) => `^libs/${lib}/`) },
}));

/** A vendor's SDK has one home, so that replacing it is one folder's work. */
function home(name, packages, places, comment) {
  return {
    name: `home-of-${name}`,
    comment,
    severity: 'error',
    from: { pathNot: [tests, ...places] },
    to: { path: packages.map((each) => `node_modules/${each}/`) },
  };
}

module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      comment: 'Two files that need each other are one thought in two places.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'apps-do-not-import-each-other',
      comment: 'Rooms talk over NATS. Only all-in-one imports rooms, and only their modules.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: '^apps/all-in-one/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'all-in-one-imports-only-modules',
      comment: 'What all-in-one knows of a room is its module.',
      severity: 'error',
      from: { path: '^apps/all-in-one/' },
      to: { path: '^apps/(?!all-in-one/)', pathNot: '\\.module\\.ts$' },
    },
    {
      name: 'libs-have-one-door',
      comment: 'From outside, a lib is its index.ts, imported as #name.',
      severity: 'error',
      from: { path: '^(apps|libs|e2e|bench)/([^/]+)/' },
      to: { path: '^libs/([^/]+)/src/', pathNot: ['^libs/[^/]+/src/index\\.ts$', '^$1/$2/'] },
    },
    ...line,
    {
      name: 'servers-only-where-they-are-run',
      comment: 'Rooms are given NATS and PostgreSQL; only all-in-one and tests start them.',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: ['^apps/all-in-one/', '^libs/servers/', tests] },
      to: { path: '^libs/servers/' },
    },
    {
      name: 'testing-only-in-tests',
      comment: 'Helpers of tests do not belong into what runs.',
      severity: 'error',
      from: { pathNot: tests },
      to: { path: [spec, '^libs/testing/', '^node_modules/vitest/'] },
    },
    {
      name: 'cli-talks-to-the-gateway-only',
      comment: 'The command line is a client like any other; builds are plans, which ask nobody.',
      severity: 'error',
      from: { path: '^apps/(cli|dashboard)/', pathNot: spec },
      to: { path: '^libs/', pathNot: '^libs/(client|contracts|builds)/' },
    },
    {
      name: 'ports-do-not-know-who-uses-them',
      comment: 'In a room: handler, listener, saga, loop → store, driver, plain. Never back.',
      severity: 'error',
      from: { path: '\\.(store|driver|builder|entity|migration)\\.ts$' },
      to: { path: '^apps/.*\\.(handler|listener|saga|loop|query|controller|module)\\.ts$' },
    },
    {
      name: 'wiring-is-imported-by-starters-only',
      comment: 'A module is known to the room’s main, to all-in-one and to tests.',
      severity: 'error',
      from: { path: '^apps/', pathNot: ['/main\\.ts$', '\\.module\\.ts$', '^apps/all-in-one/', spec] },
      to: { path: '^apps/.*\\.module\\.ts$' },
    },
    home(
      'dockerode',
      ['dockerode'],
      ['^apps/machines/src/drivers/', '^apps/templates/src/builders/', '^apps/all-in-one/'],
      'The Docker driver and builder.',
    ),
    home('s3', ['aws4fetch'], ['^libs/messaging/'], 'libs/messaging.'),
    home('nats', ['@nats-io'], ['^libs/messaging/'], 'libs/messaging.'),
    home(
      'typeorm',
      ['typeorm', 'pg'],
      ['^libs/(storage|messaging|servers|boot)/', '^apps/.*\\.(store|entity|migration|module)\\.ts$'],
      'Stores, entities, migrations and libs/storage.',
    ),
    home('dns-packet', ['dns-packet'], ['^apps/routes/'], 'The routes room.'),
    home(
      'undici',
      ['undici'],
      ['^libs/(invocation|client)/', '^apps/(gateway|machines|all-in-one)/'],
      'Who dials functions.',
    ),
    home(
      'archives',
      ['tar', 'yauzl'],
      ['^apps/(templates|cli)/', '^libs/client/'],
      'Who packs and unpacks sources.',
    ),
    {
      name: 'only-listed-packages',
      comment: 'A package that merely happens to be there is gone with the next update of another.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown', 'undetermined'] },
    },
    {
      name: 'no-dev-package-in-what-runs',
      comment: 'Development packages are not installed where it runs.',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: tests },
      to: { dependencyTypes: ['npm-dev'], pathNot: '^node_modules/@types/' },
    },
    {
      name: 'can-be-resolved',
      comment: 'An import that leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: ['^node_modules', '^scripts'] },
    exclude: { path: '(^|/)(dist|starters)/' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['@cestx/source', 'import', 'require', 'node', 'default', 'types'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
};
