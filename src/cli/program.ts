import { appendFileSync } from 'node:fs'
import { CommanderError, Command as Program } from 'commander'
import { type Command, globalOptions } from '../command.js'
import { home, packageVersion } from '../files/package.js'
import { filesIn, folderOf, formats, rendererOf } from '../library/discovery.js'
import { findingsOf } from '../model/failure.js'
import { oneOf, readOptions, type Typed } from '../model/options.js'
import { emptyReport, exitCodes, type Finding, finding, type Report, verdictOf } from '../model/report.js'
import { commandPlace, filterFlags, foldFilters, optionOf, without } from './flags.js'
import { type Process, readInput, urlOrNone } from './input.js'
import { checkOutput, maskArguments, maskSecrets, maskWords, withoutSecrets, writeOutput } from './output.js'
import { openTerminal } from './terminal.js'

/** The format where none is named. */
const usualFormat = 'table'

/**
 * Runs one command line; the exit code. The only place that knows process, streams, signals and the clock.
 */
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
      writeErr: text => process.stderr.write(maskWords(text, argv)),
    })
    .showSuggestionAfterError()
    .helpCommand(false)
  // only the named command is loaded, all of them for --help
  const files = filesIn(folderOf('commands'))
  const place = commandPlace(argv, files)
  const named = argv[place]
  // global flags may stand before the command
  if (named !== undefined) argv = [named, ...argv.slice(0, place), ...argv.slice(place + 1)]
  for (const [name, file] of named ? [[named, files.get(named)!] as const] : files) {
    const command = (await import(file)).default as Command
    const sub = program.command(command.args ? `${name} ${command.args}` : name).description(command.summary)
    const own = [...Object.values(command.options), ...Object.values(globalOptions)]
    const filters = command.filters && named ? without(await filterFlags(argv, process.cwd(), home), own) : []
    const listed = argv.some(a => a === '--help' || a === '-h') ? await formats() : []
    for (const flag of [...filters, ...own]) sub.addOption(optionOf(flag, listed))
    sub.action(async (...given: unknown[]) => {
      const args = given.slice(0, -2).filter((a): a is string => typeof a === 'string')
      const typed = given.at(-2) as Record<string, Typed>
      foldFilters(filters, typed)
      exitCode = await runCommand(name, command, args, typed, process)
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
        findings: [
          finding('USAGE', maskArguments(argv).join(' '), {
            reason: maskWords(error.message, argv),
            known: [],
            meant: null,
          }),
        ],
      }
      const json = await rendererOf('json')
      process.stdout.write(await json!.render(report, { color: false, verbose: false, width: 100 }))
    }
    return exitCodes.failed
  }
}

async function runCommand(
  name: string,
  command: Command,
  args: string[],
  typed: Record<string, Typed>,
  process: Process,
): Promise<number> {
  // how to say it must be known before anything that was typed may be wrong
  const renderer = await rendererOf(String(typed.format ?? usualFormat))
  const verbose = typed.verbose === true
  const given = typeof typed.databaseUrl === 'string' ? typed.databaseUrl : null
  const color = typed.color !== false && !process.env.NO_COLOR && Boolean(process.stdout.isTTY)
  const events = openTerminal(process, { quiet: typed.quiet === true, verbose })
  let report: Report
  let writable = false
  let told: (() => Finding[]) | null = null
  const cleanup: (() => Promise<void>)[] = []
  try {
    if (!renderer) oneOf('--format', String(typed.format), await formats())
    for (const [flag, path] of [
      ['--output', typed.output],
      ['--out', typed.out],
      ['--fix-up', typed.fixUp],
    ] as const)
      if (typeof path === 'string') checkOutput(process.cwd(), flag, path)
    writable = true
    const run = command.read(typed)
    const options = readOptions(globalOptions, typed)
    const input = await readInput(command, args, options, process, events.emit, cleanup)
    told = input.layoutFindings
    report = await run(input)
    // a protected place is never confirmed by typing: the flag stands in the command, for all to read
    const never = options.yes || input.config.protected
    for (let named = await events.askNames(report, never); named; ) {
      input.answers = [...input.answers, ...named]
      report = await run(input)
      named = await events.askNames(report, never)
    }
    // asked once for each refusal: what was agreed to may have changed before the lease was there
    for (let asked = await events.askConsent(report, never); asked; ) {
      input.consent = {
        allow: new Set([...input.consent.allow, ...asked.allow]),
        confirm: asked.confirm ?? input.consent.confirm,
        rows: asked.rows ?? input.consent.rows ?? null,
        from: input.consent.from,
      }
      report = await run(input)
      asked = await events.askConsent(report, never)
    }
  } catch (error) {
    report = { ...emptyReport(name), findings: findingsOf(error) }
    report.verdict = verdictOf(report)
    if (verbose && error instanceof Error)
      process.stderr.write(
        `${maskSecrets((error.cause as Error)?.stack ?? error.stack ?? '', urlOrNone(given, process.env))}\n`,
      )
  } finally {
    for (const end of cleanup.reverse()) await end()
    events.close()
  }
  report.findings.unshift(...(told?.() ?? []))
  const words = [...args, ...Object.values(typed).flat()].filter(word => typeof word === 'string')
  report = withoutSecrets(report, urlOrNone(given, process.env), words)
  const look = { color, verbose, width: process.stdout.columns ?? 100 }
  const kept = report.pin ?? report.proof
  if (typeof typed.out === 'string' && kept)
    note(report, writeOutput(process.cwd(), typed.out, `${JSON.stringify(kept, null, 2)}\n`))
  if (typeof typed.fixUp === 'string' && report.fixUp !== undefined)
    note(report, writeOutput(process.cwd(), typed.fixUp, report.fixUp))
  const { render, page } = renderer ?? (await rendererOf(usualFormat))!
  const file = page && process.env[page.env]
  if (page && file) appendFileSync(file, await page.render(report))
  if (writable && typeof typed.output === 'string') {
    const faults = writeOutput(process.cwd(), typed.output, await render(report, look))
    if (faults.length === 0) return exitCodes[report.verdict]
    note(report, faults)
  }
  process.stdout.write(await render(report, look))
  return exitCodes[report.verdict]
}

/** Adds what went wrong after the command itself was done. */
function note(report: Report, faults: Finding[]): void {
  report.findings.push(...faults)
  report.verdict = verdictOf(report)
}
