import { appendFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { CommanderError, Option, Command as Program } from 'commander'
import { type Command, commaList, type Input } from './command.js'
import { startEmbedded } from './db/embedded.js'
import { maskUrl } from './db/session.js'
import { openContext, sourcesTable } from './engine/open_context.js'
import { machine } from './machine.js'
import type { Event } from './model/event.js'
import { Failure, findingsOf } from './model/failure.js'
import { emptyReport, exitCodes, finding, type Report, verdictOf } from './model/report.js'
import { sink } from './terminal.js'
import { configName, readConfig } from './workspace/config.js'
import { looksLikeWorkspace } from './workspace/discover.js'
import { home, packageVersion } from './workspace/package.js'

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

/** Runs one command line; the exit code. The only place that knows process, streams, signals and the clock. */
export async function cli(argv: string[], process: Process): Promise<number> {
  const version = packageVersion()
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
      exitCode = await execute(name, command, args, given.at(-2) as Record<string, unknown>, process)
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
    const input = await prepare(command, args, options, process, events.emit, cleanup)
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
  if (!url && !command.offline) throw new Failure('NO_DATABASE_URL', 'database')
  const track = options.track ?? config.track
  const here = machine()
  const opened = openContext({
    url,
    config,
    root,
    home,
    track,
    reason: options.reason ?? null,
    version: packageVersion(),
    machine: { ...here, who: process.env.GITHUB_ACTOR ?? process.env.USER ?? here.who },
    emit,
    signal: interruptible(process, cleanup),
  })
  const wait = options.lockWait === undefined ? 60 : Number(options.lockWait)
  if (!(wait >= 0)) throw new RangeError(`--lock-wait wants seconds, not \`${options.lockWait}\``)
  return {
    options: { ...options, track: track ?? undefined },
    args,
    ...opened,
    config,
    configRead,
    sources: sourcesTable({
      database: source,
      folder: options.dir ? '--dir' : root === home ? 'shipped tracks' : root,
      track: options.track ? '--track' : config.track ? configName : 'chosen by the database',
      configuration: configRead.path ?? 'none',
    }),
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

/** First Ctrl-C or SIGTERM: finish the batch and report. The second ends at once (habit 9). */
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
