import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CommanderError, Option, Command as Program } from 'commander'
import { type Command, commaList, type Input } from './command.js'
import { startEmbedded } from './db/embedded.js'
import { maskUrl } from './db/session.js'
import { type Context, connect } from './engine/context.js'
import { chooseTrack } from './engine/look.js'
import type { Event } from './model/event.js'
import { Failure, Failures, findingsOf } from './model/failure.js'
import { emptyReport, exitCodes, finding, type Report, type Table, verdictOf } from './model/report.js'
import type { Track, Workspace } from './model/workspace.js'
import { sink } from './terminal.js'
import { configName, readConfig } from './workspace/config.js'
import { discover, looksLikeWorkspace } from './workspace/discover.js'

/** Folder of the package: where `migrations/` and `package.json` stand, seen from `src/` and from `dist/`. */
const home = resolve(dirname(fileURLToPath(import.meta.url)), '..')

/** Flags that every command takes. */
const globals: [string, string][] = [
  [
    '--database-url <url>',
    'target (else RETHREAD_DATABASE_URL, DATABASE_URL, SUPABASE_DB_URL, the PG* variables)',
  ],
  ['--embedded', 'use a PostgreSQL of its own under .rethread/'],
  ['--track <name>', 'track (else the ledger’s, else the only one that fits)'],
  [
    '--dir <folder>',
    'folder with migrations/ rollbacks/ verify/ (default: here if it has them, else the shipped tracks)',
  ],
  ['--config <file>', `configuration (default ${configName})`],
  ['--allow <hazards>', 'hazards that may happen, by name, separated by commas'],
  ['--confirm <database>', 'name of the database, where data would be dropped'],
  ['--reason <text>', 'why; kept in the ledger'],
  ['--lock-wait <seconds>', 'how long to wait for another run (default 60; 0 is not at all)'],
  ['--format <format>', 'table, json, markdown, html or github (default table)'],
  ['--output <file>', 'write the report to a file'],
  ['--quiet', 'no progress'],
  ['--verbose', 'tell more: notices, statements, causes'],
  ['--no-color', 'no colour (also NO_COLOR)'],
  ['--yes', 'never ask; does not stand in for --allow or --confirm'],
]

/** What `--format` takes. */
const formats = ['table', 'json', 'markdown', 'html', 'github']

type Process = NodeJS.Process

/**
 * Runs one command line; the exit code. The only place that knows process, streams, signals and the clock.
 */
export async function cli(argv: string[], process: Process): Promise<number> {
  const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { version: string }
  let exitCode = 0
  const program = new Program('rethread')
    .description(
      'Takes a live chat application on PostgreSQL to first-class sessions and messages: online, proven, reversible.',
    )
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: text => process.stdout.write(text),
      writeErr: text => process.stderr.write(text),
    })
    .showSuggestionAfterError()
    .helpCommand(false)
  // one command = one file; only the named one is loaded, all of them for --help
  const files = commandFiles()
  const named = argv.find(a => files.has(a))
  // global flags may stand before the command
  if (named && argv[0]!.startsWith('-')) argv = [named, ...argv.filter((_, i) => i !== argv.indexOf(named))]
  for (const [name, file] of named ? [[named, files.get(named)!] as const] : files) {
    const command = (await import(file)).default as Command
    const sub = program.command(command.args ? `${name} ${command.args}` : name).description(command.summary)
    for (const [flags, help] of [...(command.options ?? []), ...globals])
      sub.addOption(new Option(flags, help))
    sub.action(async (...given: unknown[]) => {
      const args = given.slice(0, -2).filter((a): a is string => typeof a === 'string')
      exitCode = await execute(name, command, args, given.at(-2) as Record<string, unknown>, version, process)
    })
  }
  try {
    if (argv.length === 0) program.outputHelp()
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0
    if (argv.includes('json') && argv.includes('--format')) {
      const report = {
        ...emptyReport(named ?? ''),
        verdict: 'failed' as const,
        findings: [finding('USAGE', argv.join(' '), { reason: error.message })],
      }
      process.stdout.write((await import('./render/json.js')).renderJson(report))
    }
    return exitCodes.failed
  }
}

/** The files beside this one in `commands/`: name -> address. */
function commandFiles(): Map<string, string> {
  const folder = new URL('./commands/', import.meta.url)
  const files = readdirSync(folder).filter(f => /^[a-z]+\.(js|ts)$/.test(f))
  return new Map(files.sort().map(f => [f.replace(/\.(js|ts)$/, ''), new URL(f, folder).href]))
}

// biome-ignore lint/suspicious/noExplicitAny: commander gives what the flags declare
type Options = Record<string, any>

async function execute(
  name: string,
  command: Command,
  args: string[],
  options: Options,
  version: string,
  process: Process,
): Promise<number> {
  const format = String(options.format ?? 'table')
  const color = options.color !== false && !process.env.NO_COLOR && Boolean(process.stdout.isTTY)
  const events = sink(process, { quiet: options.quiet ?? false, verbose: options.verbose ?? false })
  let report: Report
  const cleanup: (() => Promise<void>)[] = []
  try {
    if (!formats.includes(format))
      throw new Failure('USAGE', `--format ${format}`, { reason: `it can be ${formats.join(', ')}` })
    const input = await prepare(command, args, options, version, process, events.emit, cleanup)
    report = await command.run(input)
    // a protected place is never confirmed by typing: the flag stands in the command, for all to read
    const asked = await events.askConsent(report, (options.yes ?? false) || input.config.protected)
    if (asked) {
      input.consent = {
        allow: new Set([...input.consent.allow, ...asked.allow]),
        confirm: asked.confirm ?? input.consent.confirm,
        from: input.consent.from,
      }
      report = await command.run(input)
    }
  } catch (error) {
    const findings =
      error instanceof RangeError ? [finding('USAGE', name, { reason: error.message })] : findingsOf(error)
    report = { ...emptyReport(name), findings }
    report.verdict = verdictOf(report)
    if (options.verbose && error instanceof Error)
      process.stderr.write(`${mask((error.cause as Error)?.stack ?? error.stack ?? '', options, process)}\n`)
  } finally {
    for (const end of cleanup.reverse()) await end()
    events.close()
  }
  if (options.out && report.pin) write(options.out, `${JSON.stringify(report.pin, null, 2)}\n`)
  const text = await render(report, format, {
    color,
    verbose: options.verbose ?? false,
    width: process.stdout.columns ?? 100,
  })
  // GitHub names a file that it shows as the job's page
  if (format === 'github' && process.env.GITHUB_STEP_SUMMARY)
    appendFileSync(
      process.env.GITHUB_STEP_SUMMARY,
      await render(report, 'markdown', { color: false, verbose: false, width: 100 }),
    )
  if (options.output) write(options.output, text)
  else process.stdout.write(text)
  return exitCodes[report.verdict]
}

/** Writes a file that a flag names, and the folders above it. */
function write(path: string, text: string): void {
  mkdirSync(dirname(resolve(path)), { recursive: true })
  writeFileSync(path, text)
}

/** No secret in any output: the URL's password is cut wherever it shows. */
function mask(text: string, options: Options, process: Process): string {
  const url = databaseUrl(options, process.env).url
  try {
    const { password } = new URL(url)
    return (
      password ? text.replaceAll(password, '***').replaceAll(decodeURIComponent(password), '***') : text
    ).replaceAll(url, maskUrl(url))
  } catch {
    return url ? text.replaceAll(url, '(unreadable URL)') : text
  }
}

async function render(
  report: Report,
  format: string,
  look: { color: boolean; verbose: boolean; width: number },
): Promise<string> {
  if (format === 'json') return (await import('./render/json.js')).renderJson(report)
  if (format === 'html') return (await import('./render/html.js')).renderHtml(report)
  if (format === 'github') return (await import('./render/github.js')).renderGithub(report)
  if (format === 'markdown') return (await import('./render/markdown.js')).renderMarkdown(report)
  return (await import('./render/table.js')).renderTable(report, look)
}

/** The target and where it was named: flag beats environment. */
function databaseUrl(options: Options, env: NodeJS.ProcessEnv): { url: string; source: string } {
  if (options.databaseUrl) return { url: options.databaseUrl, source: '--database-url' }
  for (const name of ['RETHREAD_DATABASE_URL', 'DATABASE_URL', 'SUPABASE_DB_URL']) {
    if (env[name]) return { url: env[name]!, source: name }
  }
  if (env.PGHOST || env.PGDATABASE || env.PGUSER) {
    const user = encodeURIComponent(env.PGUSER ?? userInfo().username)
    const password = env.PGPASSWORD ? `:${encodeURIComponent(env.PGPASSWORD)}` : ''
    const ssl = env.PGSSLMODE ? `?sslmode=${env.PGSSLMODE}` : ''
    return {
      url: `postgres://${user}${password}@${env.PGHOST ?? 'localhost'}:${env.PGPORT ?? 5432}/${encodeURIComponent(env.PGDATABASE ?? env.PGUSER ?? '')}${ssl}`,
      source: 'PG* variables',
    }
  }
  return { url: '', source: 'not set' }
}

async function prepare(
  command: Command,
  args: string[],
  options: Options,
  version: string,
  process: Process,
  emit: (event: Event) => void,
  cleanup: (() => Promise<void>)[],
): Promise<Input> {
  const cwd = process.cwd()
  const configRead = await readConfig(resolve(cwd, options.config ?? configName), Boolean(options.config))
  const { config } = configRead
  const root = options.dir
    ? resolve(cwd, options.dir)
    : config.dir
      ? resolve(cwd, config.dir)
      : looksLikeWorkspace(cwd)
        ? cwd
        : home
  if (options.dir && !existsSync(root)) throw new Failure('NO_TRACKS', root)
  let { url, source } = databaseUrl(options, process.env)
  if (options.embedded) {
    const server = await startEmbedded({ dataDir: join(cwd, '.rethread/pg18'), from: [cwd, home] })
    cleanup.push(() => server.stop())
    url = server.url
    source = '--embedded'
  }
  const clock = { now: () => performance.now(), sleep }
  const ctx: Context = {
    url,
    settings: config.settings,
    lockTimeoutMs: config.lockTimeoutMs,
    lockBudgetSeconds: config.lockBudgetSeconds,
    batchTargetMs: config.batchTargetMs,
    cores: null,
    walBytesPerSecond: config.walMbPerSecond === null ? null : config.walMbPerSecond * 2 ** 20,
    who: process.env.GITHUB_ACTOR ?? process.env.USER ?? userInfo().username,
    host: hostname(),
    reason: options.reason ?? null,
    tool: `rethread ${version}`,
    tracks: () => read().tracks,
    emit,
    clock,
    random: Math.random,
    signal: interruptible(process, cleanup),
  }
  if (!url && !command.offline) throw new Failure('NO_DATABASE_URL', 'database')
  let workspace: Workspace | null = null
  const read = () => (workspace ??= discover(root, home))
  const wait = options.lockWait === undefined ? 60 : Number(options.lockWait)
  if (!(wait >= 0)) throw new RangeError(`--lock-wait wants seconds, not \`${options.lockWait}\``)
  return {
    options: { ...options, track: options.track ?? config.track ?? undefined },
    args,
    ctx,
    config,
    configRead,
    sources: sources(options, config.track, configRead.path, source, root),
    workspace: read,
    track: () => pick(ctx, read(), options.track ?? config.track),
    consent: {
      allow: new Set(commaList(options.allow)),
      confirm: options.confirm ?? null,
      from: config.consentFrom,
    },
    leaseWaitMs: wait * 1000,
    cwd,
    home,
  }
}

/** The track, after the faults of the files: all of them at once, so that one run shows everything to fix. */
async function pick(ctx: Context, workspace: Workspace, name: string | null): Promise<Track> {
  const faults = workspace.faults.filter(f => f.level === 'error')
  if (faults.length > 0) throw new Failures(faults)
  const named = workspace.tracks.find(t => t.name === name)
  if (named) return named
  if (workspace.tracks.length === 1 && !name) return workspace.tracks[0]!
  await using session = await connect(ctx, 'reader')
  return await chooseTrack(session, workspace, name)
}

/** First Ctrl-C or SIGTERM: finish the batch and report. The second ends at once. */
function interruptible(process: Process, cleanup: (() => Promise<void>)[]): AbortSignal {
  const controller = new AbortController()
  const stop = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted)
    controller.abort()
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  cleanup.push(async () => {
    process.off('SIGINT', stop).off('SIGTERM', stop)
  })
  return controller.signal
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(done => {
    if (signal?.aborted) return done()
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      done()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end, { once: true })
  })
}

function sources(
  options: Options,
  track: string | null,
  config: string | null,
  url: string,
  root: string,
): Table {
  return {
    title: 'Where values come from',
    columns: ['value', 'from'],
    rows: [
      ['database', url],
      ['folder', options.dir ? '--dir' : root === home ? 'shipped tracks' : root],
      ['track', options.track ? '--track' : track ? configName : 'chosen by the database'],
      ['configuration', config ?? 'none'],
    ],
  }
}
