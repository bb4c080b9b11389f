import { CommanderError, Option, Command as Program } from 'commander'
import { type Command, globalOptions } from '../command.js'
import { home, packageVersion } from '../files/package.js'
import { filesIn, folderOf, formats } from '../library/discovery.js'
import { flagOf, type Typed } from '../model/options.js'
import { emptyReport, exitCodes, finding, type Report } from '../model/report.js'
import { nearest } from '../model/similar.js'
import { commandPlace, filterFlags, firstWord, foldFilters, optionOf, without } from './flags.js'
import {
  commandGroup,
  commandHelp,
  completionHelp,
  headingOf,
  headings,
  inHelpOrder,
  isOfUse,
  programHelp,
  readHelp,
  shells,
} from './help.js'
import type { Process } from './input.js'
import { maskArguments, maskWords } from './output.js'
import { runCommand, writeUsageReport } from './run_command.js'

/**
 * Runs one command line; the exit code. The only place that knows process, streams, signals and the clock.
 */
export async function cli(line: string[], process: Process): Promise<number> {
  // only the named command is loaded, all of them for --help
  const files = filesIn(folderOf('commands'))
  const { argv, named, stranger } = readWords(line, files)
  const program = newProgram(argv, process)
  const shown = argv.some(a => a === '--help' || a === '-h') ? await formats() : []
  let exitCode = 0
  let flags: string[] = []
  for (const name of named ? [named] : inHelpOrder([...files.keys()])) {
    const command = (await import(files.get(name)!)).default as Command
    const own = Object.values(command.options)
    const taken = [...own, ...common]
    const filters =
      command.filters && named ? without(await filterFlags(argv, process.cwd(), home), taken) : []
    flags = [...filters, ...taken].map(flag => flagOf(flag.flags))
    const sub = addCommand(program, name, command)
    for (const flag of [...filters, ...own]) sub.addOption(optionOf(flag, shown).helpGroup(headingOf(flag)))
    for (const flag of common)
      sub.addOption(optionOf(flag, shown).helpGroup(headings.common).hideHelp(!isOfUse(flag, command)))
    sub.action(async (...given: unknown[]) => {
      const args = given.slice(0, -2).filter((a): a is string => typeof a === 'string')
      const typed = given.at(-2) as Record<string, Typed>
      foldFilters(filters, typed)
      exitCode = await runCommand({ name, command, args, typed, process })
    })
  }
  if (!named) addCompletion(program, process)
  try {
    if (argv.length === 0) {
      program.outputHelp()
      return exitCodes.failed
    }
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0
    const report = usageReport(named ?? stranger ?? null, argv, flags, error)
    await writeUsageReport(report, formatIn(line), process, { color: false, verbose: false, width: 100 })
    return exitCodes.failed
  }
}

/** Options that every command takes. */
const common = Object.values(globalOptions)

/** The words in the order that commander wants, the command first, and which command they name. */
function readWords(line: string[], commands: { has(name: string): boolean }) {
  const argv = readHelp(line)
  const place = commandPlace(argv, commands)
  const named = argv[place]
  // global flags may come before the command
  if (named !== undefined)
    return { argv: [named, ...argv.slice(0, place), ...argv.slice(place + 1)], named, stranger: undefined }
  const stranger = firstWord(argv)
  // said to be no command whatever is beside it, also where help is asked for
  const alone = stranger !== undefined && stranger !== completion
  return { argv: alone ? [stranger] : argv, named, stranger }
}

const newProgram = (argv: string[], process: Process): Program =>
  new Program('rethread')
    .description(
      'Takes a live chat application on PostgreSQL to first-class sessions and messages: online, proven, reversible.',
    )
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: text => process.stdout.write(text),
      writeErr: text => process.stderr.write(maskWords(text, argv)),
    })
    .configureHelp({ sortOptions: false, sortSubcommands: false })
    .showSuggestionAfterError()
    .showHelpAfterError('rethread --help lists the commands.')
    .helpCommand(false)
    .addHelpText('after', programHelp)

/** Adds a command to the program, yet without its options. */
const addCommand = (program: Program, name: string, command: Command): Program =>
  program
    .command(command.args ? `${name} ${command.args}` : name)
    .description(command.summary)
    .helpGroup(commandGroup(name))
    .addHelpOption(new Option('-h, --help', 'show this help').helpGroup(headings.common))
    .addHelpText('after', commandHelp(command))
    .showHelpAfterError(`rethread help ${name} shows what it takes.`)

/** The command that is no file. */
const completion = 'completion'

/** The command that prints a completion script. It has no report. */
const addCompletion = (program: Program, process: Process): Program =>
  program
    .command(`${completion} <shell>`)
    .description(`print a script that completes command lines, for ${shells.join(', ')}`)
    .helpGroup(commandGroup(completion))
    .addHelpText('after', completionHelp)
    .showHelpAfterError(`rethread help ${completion} shows how to install one.`)
    .action(async (shell: string) => {
      // loads every command, so it is imported here
      const { completionScript } = await import('./completion.js')
      const script = await completionScript(shell)
      if (script === null)
        program.error(`error: there is no script for '${shell}', only for ${shells.join(', ')}.`)
      process.stdout.write(script)
    })

/** The format in a command line that could not be read; null if it is unclear. */
function formatIn(argv: string[]): string | null {
  const at = argv.findIndex(word => word === '--format' || word === '-f')
  const joined = argv.find(word => word.startsWith('--format='))
  return (at < 0 ? undefined : argv[at + 1]) ?? joined?.slice('--format='.length) ?? null
}

/** The report for commander's error. Its suggestion becomes `meant`. */
function usageReport(name: string | null, argv: string[], flags: string[], error: CommanderError): Report {
  const [said, hint] = maskWords(error.message, argv).split('\n(Did you mean ')
  // commander suggests nothing for a flag with `=value`
  const [, flag] = /unknown option '(--[\w-]+)=/.exec(said!) ?? []
  const meant = flag ? nearest(flag, flags) : (/^(?:one of )?([^,?)]+)/.exec(hint ?? '')?.[1] ?? null)
  const reason = said!.replace(/^error: /, '')
  const [command] = maskArguments([name ?? firstWord(argv) ?? 'help'])
  const facts = { reason, known: [], meant, command: name === null ? null : command! }
  return {
    ...emptyReport(command!),
    verdict: 'failed',
    findings: [finding('USAGE', maskArguments(argv).join(' '), facts)],
  }
}
