// Builds dist/: the command line, the library and the JSON schema of reports. `npm run build`.
import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'rolldown'
import { buildSchema } from './build_schema.mjs'
import { root } from './root.mjs'

/** Folders whose files are found at run time: one file is one command, one output format, or one layout. */
const discovered = ['src/commands', 'src/render', 'src/files/layouts']
/** What a deploy with nothing to do runs; all that they import is one file, which starts faster than many. */
const usual = ['src/cli/main.ts', 'src/commands/migrate.ts', 'src/render/table.ts'].map(fromRoot)

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
// the program itself, which tests call in their own process
const program = 'src/cli/program.ts'
const sources = [...Object.values(manifest.bin), manifest.exports['.'].default].map(path =>
  path.replace(/^(\.\/)?dist\//, 'src/').replace(/\.js$/, '.ts'),
)
// a file without a default export is a helper of its neighbours and ends up in their bundles
const found = discovered.flatMap(folder =>
  readdirSync(join(root, folder))
    .filter(file => file.endsWith('.ts'))
    .map(file => `${folder}/${file}`)
    .filter(file => /^export default\b/m.test(readFileSync(join(root, file), 'utf8'))),
)
const entries = [program, ...sources, ...found]
const fixed = new Set([...sources, ...found].map(fromRoot))

/** The modules of the usual run but those that must stay files of their own. */
const startup = new Set()
/** commander would load child_process for commands that are programs of their own: there are none. */
const noPrograms = {
  name: 'no-programs',
  resolveId: (source, importer) =>
    source === 'node:child_process' && importer?.includes('/commander/') ? '\0no-programs' : null,
  load: id => (id === '\0no-programs' ? 'module.exports = {}' : null),
}

const usualRun = {
  name: 'usual-run',
  buildEnd() {
    const reached = new Set(usual)
    // what is added while it is walked is walked too
    for (const id of reached) for (const next of this.getModuleInfo(id).importedIds) reached.add(next)
    for (const id of reached) if (!fixed.has(id)) startup.add(id)
  },
}

rmSync(join(root, 'dist'), { recursive: true, force: true })
await build({
  cwd: root,
  input: Object.fromEntries(entries.map(path => [path.replace(/^src\/|\.ts$/g, ''), fromRoot(path)])),
  plugins: [usualRun, noPrograms],
  platform: 'node',
  transform: { target: `node${/\d+(\.\d+)*/.exec(manifest.engines.node)[0]}` },
  resolve: {
    alias: {
      // umzug comes with a command line of its own, which nobody here calls: without it,
      // applying starts 80 ms sooner
      '@rushstack/ts-command-line': fromRoot('src/run/umzug_cli.ts'),
    },
  },
  // installed beside this package: what has WebAssembly in a file of its own, and what a user may add
  external: [...Object.keys(manifest.dependencies), '@opentelemetry/api'],
  preserveEntrySignatures: 'allow-extension',
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    comments: { legal: true, annotation: false, jsdoc: false },
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ name: 'startup', test: id => startup.has(id) || id.includes('rolldown/runtime') }],
    },
  },
  logLevel: 'warn',
})
await buildSchema()
// npx sets this bit only when it makes its link, which outlives a build
chmodSync(fromRoot('dist/cli/main.js'), 0o755)

/** The full path of a file of the repository. */
function fromRoot(path) {
  return join(root, path)
}
