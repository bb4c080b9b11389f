import { appendFileSync } from 'node:fs'
import { type Command, globalOptions, type Invocation } from '../command.js'
import { formats, rendererOf } from '../library/discovery.js'
import { machine } from '../library/machine.js'
import { Failures, findingsOf, isSystemError } from '../model/failure.js'
import { oneOf, readOptions, type Typed } from '../model/options.js'
import { emptyReport, exitCodes, type Finding, isSevere, type Report, verdictOf } from '../model/report.js'
import { terminalText } from '../render/escape.js'
import type { Renderer, TerminalStyle } from '../render/renderer.js'
import { worded } from '../render/words/index.js'
import { readFleet, runOnTargets } from './fleet.js'
import { type CommonInput, type Process, readCommonInput, readInput, urlOrNone } from './input.js'
import { lookOf, showsUnicode, withPlainMarks } from './look.js'
import { shownStack, withoutSecrets, writeOutput } from './output.js'
import { checkOutputs, type OutputFile, printsToo, readOutputFiles } from './output_files.js'
import { openTerminal, type Terminal } from './terminal.js'
import { typedLike, withCommands } from './typed_as.js'

/** The default format. */
const usualFormat = 'table'

/** One command line, as far as it could be read. */
interface Line {
  name: string
  command: Command
  args: string[]
  typed: Record<string, Typed>
  process: Process
}

/** Where the report goes. `faults` are wrong options about that. */
interface Destination {
  renderer: Renderer | null
  files: OutputFile[]
  prints: boolean
  faults: Finding[]
}

/** Runs a command after commander has read the flags. Returns the exit code. */
export async function runCommand(line: Line): Promise<number> {
  const { typed, process } = line
  // read the output options first: faults of other options are reported there
  const to = await readDestination(typed, process.cwd())
  const report = forOutput(await reportOf(line, to.faults), line)
  const kept = report.pin ?? report.proof
  if (typeof typed.out === 'string' && kept)
    note(report, writeOutput(process.cwd(), typed.out, `${JSON.stringify(kept, null, 2)}\n`))
  if (typeof typed.fixUp === 'string' && report.fixUp !== undefined)
    note(report, writeOutput(process.cwd(), typed.fixUp, report.fixUp))
  return writeReport(report, to, line)
}

/** A report without secrets, and with commands as they are typed here. */
function forOutput(report: Report, { name, command, args, typed, process }: Line): Report {
  const words = [...args, ...Object.values(typed).flat()].filter(word => typeof word === 'string')
  const url = urlIn({ typed, process })
  return withCommands(withoutSecrets(report, url, words), name, typedLike(typed, process.env, command))
}

/** The database's URL in a command line or the environment, if it can be read. */
const urlIn = ({ typed, process }: Pick<Line, 'typed' | 'process'>) =>
  urlOrNone(typeof typed.databaseUrl === 'string' ? typed.databaseUrl : null, process.env)

/** Writes a report to its page, its files and the output. Returns the exit code. */
async function writeReport(
  report: Report,
  { renderer, files, prints }: Destination,
  line: Line,
): Promise<number> {
  const { process } = line
  const look = lookOf(line.process, line.typed)
  await addPage(report, renderer, process)
  const plain = { ...look, color: false, wrap: false }
  let lost = false
  for (const { path, format } of files) {
    const faults = writeOutput(process.cwd(), path, await (await rendererOf(format))!.render(report, plain))
    lost ||= faults.length > 0
    note(report, faults)
  }
  // print a report that could not be written to its file
  if (prints || lost) {
    const text = await (renderer ?? (await usualRenderer())).render(report, look)
    // output for programs is never changed
    process.stdout.write(process.stdout.isTTY && !showsUnicode(process) ? withPlainMarks(text) : text)
  } else if (exitCodes[report.verdict] !== 0) process.stderr.write(inShort(report, files))
  return exitCodes[report.verdict]
}

/** What a log shows of a report that is only in files, if the command has not succeeded. */
const inShort = (report: Report, files: OutputFile[]): string =>
  [
    ...report.findings
      .filter(isSevere)
      .slice(0, 3)
      .map(f => terminalText(worded(f).message)),
    `${report.command}: ${report.verdict}; the report is in ${files.map(f => f.path).join(', ')}`,
  ].join('\n') + '\n'

/** Adds the report to the page of the CI platform, if the format has one. */
async function addPage(report: Report, renderer: Renderer | null, process: Process): Promise<void> {
  const page = renderer?.page
  const file = page && process.env[page.env]
  if (!page || !file) return
  try {
    appendFileSync(file, await page.render(report))
  } catch (error) {
    if (!isSystemError(error)) throw error
    note(report, findingsOf(error))
  }
}

const usualRenderer = async (): Promise<Renderer> => (await rendererOf(usualFormat))!

/** Reads where the report goes, and collects faults. */
async function readDestination(typed: Record<string, Typed>, cwd: string): Promise<Destination> {
  const asked = typeof typed.format === 'string' ? typed.format : null
  const renderer = await rendererOf(asked ?? usualFormat)
  const faults: Finding[] = []
  const gather = async (work: () => void | Promise<void>) => {
    try {
      await work()
    } catch (error) {
      faults.push(...findingsOf(error))
    }
  }
  let files: OutputFile[] = []
  if (!renderer) await gather(async () => void oneOf('--format', asked!, await formats()))
  await gather(async () => {
    const read = await readOutputFiles(typed.output, renderer && asked ? asked : usualFormat)
    checkOutputs(cwd, read, typed)
    files = read
  })
  return { renderer, files, prints: printsToo(files, asked), faults }
}

/** Runs the command. If it is refused for lack of consent, asks the person and runs it again. */
async function reportOf(line: Line, faults: Finding[]): Promise<Report> {
  const { name, command, args, typed, process } = line
  const verbose = typed.verbose === true
  const events = openTerminal(process, {
    quiet: typed.quiet === true,
    verbose,
    json: typed.log === 'json',
    typedAs: typedLike(typed, process.env, command),
  })
  const cleanup: (() => Promise<void>)[] = []
  let layoutFindings: () => Finding[] = () => []
  const around = (input: Invocation): Finding[] => [
    ...(saysFolder.has(name) ? input.unreadFolder() : []),
    ...input.layoutFindings(),
  ]
  try {
    const { run, options } = readTyped(command, typed, faults)
    const fleet = readFleet(command, typed)
    const { interrupted } = events
    const common = await readCommonInput({ command, args, options, process, interrupted, cleanup })
    if (fleet) {
      const runAll = () => runOnTargets({ ...line, run, around }, common, fleet, events.emit)
      return await (typed.watch === true ? watch(await runAll(), runAll, common, line) : runAll())
    }
    const input = await readInput({ command, options, process, cleanup }, common, events.emit)
    layoutFindings = () => around(input)
    const first = await run(input)
    if (typed.watch === true) return await watch(first, () => run(input), common, line)
    // a protected place is never confirmed by typing: the flag is part of the command, for all to read
    const never = options.yes || input.config.protected
    const report = await askAndGoOn(first, () => run(input), input, { ...events, never })
    note(report, layoutFindings(), 'first')
    return input.stamped(report, input.startedAt)
  } catch (error) {
    const failed = { ...emptyReport(name), findings: findingsOf(error) }
    const report: Report = { ...failed, verdict: verdictOf(failed) }
    if (verbose && error instanceof Error) process.stderr.write(`${shownStack(error, urlIn(line))}\n`)
    note(report, layoutFindings(), 'first')
    return report
  } finally {
    for (const end of cleanup.reverse()) await end()
    events.close()
  }
}

/** Asks a person what a report leaves open and for the consent that it needs, and goes on with answers. */
async function askAndGoOn(
  first: Report,
  again: () => Promise<Report>,
  input: Invocation,
  { askNames, askConsent, never }: Pick<Terminal, 'askNames' | 'askConsent'> & { never: boolean },
): Promise<Report> {
  let report = first
  for (let named = await askNames(report, never); named; ) {
    input.answers = [...input.answers, ...named]
    report = await again()
    named = await askNames(report, never)
  }
  // asked once for each refusal: what was agreed to may have changed before the lease was there
  for (let asked = await askConsent(report, never); asked; ) {
    input.consent = {
      allow: new Set([...input.consent.allow, ...asked.allow]),
      confirm: asked.confirm ?? input.consent.confirm,
      rows: asked.rows ?? input.consent.rows ?? null,
      from: input.consent.from,
    }
    report = await again()
    asked = await askConsent(report, never)
  }
  return report
}

/** Commands that are about files: they say which ones they have not read. */
const saysFolder = new Set(['doctor', 'lint', 'migrate', 'plan', 'status'])

/** Interval of `--watch`, in milliseconds. */
const watchEveryMs = 2000

/** Shows a report repeatedly until it is stopped. Returns the last one. */
async function watch(
  first: Report,
  again: () => Promise<Report>,
  { signal }: CommonInput,
  line: Line,
): Promise<Report> {
  const { stdout } = line.process
  const renderer = (await rendererOf(String(line.typed.format ?? usualFormat)))!
  // a terminal shows each report in place of the last one; a file gets all of them
  const clear = stdout.isTTY ? '\u001b[H\u001b[2J' : ''
  for (let report = first; ; report = await again()) {
    stdout.write(
      `${clear}${await renderer.render(forOutput(report, line), lookOf(line.process, line.typed))}`,
    )
    await machine().clock.sleep(watchEveryMs, signal)
    if (signal.aborted || stdout.destroyed) return report
  }
}

/** Reads what was typed as values. Throws Failures with everything that is wrong, before anything runs. */
function readTyped(command: Command, typed: Record<string, Typed>, faults: Finding[]) {
  let wrong: Finding[] = []
  try {
    const run = command.read(typed)
    if (faults.length === 0) return { run, options: readOptions(globalOptions, typed) }
  } catch (error) {
    if (!(error instanceof Failures)) throw error
    wrong = error.findings
  }
  throw new Failures([...faults, ...wrong])
}

/** Shows a report of a command line that could not be read. Nothing if the format is the default. */
export async function writeUsageReport(
  report: Report,
  format: string | null,
  process: Process,
  look: TerminalStyle,
): Promise<void> {
  const renderer = format === null || format === usualFormat ? null : await rendererOf(format)
  if (!renderer) return
  await addPage(report, renderer, process)
  process.stdout.write(await renderer.render(report, look))
}

/** Adds findings about the files to a report, before or after its own. */
function note(report: Report, findings: Finding[], place: 'first' | 'last' = 'last'): void {
  report.findings = place === 'first' ? [...findings, ...report.findings] : [...report.findings, ...findings]
  if (findings.some(f => f.level !== 'info')) report.verdict = verdictOf(report)
}
