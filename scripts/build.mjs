// Builds dist/: the command line, the library and the JSON schema of reports. `npm run build`.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { buildSchema } from './build_schema.mjs'
import { root } from './root.mjs'

/** Folders whose files are found at run time: one file is one command, or one output format. */
const discovered = ['src/commands', 'src/render']

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const sources = ['dist/cli/program.js', ...Object.values(manifest.bin), manifest.exports['.'].default].map(
  path => path.replace(/^(\.\/)?dist\//, 'src/').replace(/\.js$/, '.ts'),
)
// a file without a default export is a helper of its neighbours and ends up in their bundles
const found = discovered.flatMap(folder =>
  readdirSync(join(root, folder))
    .filter(file => file.endsWith('.ts'))
    .map(file => `${folder}/${file}`)
    .filter(file => /^export default\b/m.test(readFileSync(join(root, file), 'utf8'))),
)

rmSync(join(root, 'dist'), { recursive: true, force: true })
await build({
  absWorkingDir: root,
  entryPoints: [...sources, ...found],
  bundle: true,
  splitting: true,
  minifySyntax: true,
  format: 'esm',
  platform: 'node',
  target: `node${/\d+(\.\d+)*/.exec(manifest.engines.node)[0]}`,
  outbase: 'src',
  outdir: 'dist',
  // umzug comes with a command line of its own, which nobody here calls: without it,
  // applying starts 80 ms sooner
  alias: { '@rushstack/ts-command-line': './src/run/umzug_cli.ts' },
  // loaded from node_modules, and only by the runs that need them
  external: ['libpg-query', 'cli-table3', 'cli-progress', '@inquirer/input'],
  // the CommonJS packages that are bundled call require()
  banner: {
    js: "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);",
  },
  logLevel: 'warning',
})
await buildSchema()
