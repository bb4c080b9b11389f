import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Option, Command as Program } from 'commander'
import { globalOptions } from '../command.js'
import { type ConfigRead, configName, readConfig } from '../files/config.js'
import { looksLikeProject } from '../files/discover.js'
import { filtersIn } from '../files/track_info.js'
import { Failure, Failures } from '../model/failure.js'
import { attributeOf, type Option as Declared, flagOf, list, type Typed } from '../model/options.js'
import { flagNames } from './help.js'

/** An option as a command declares it. */
type Flag = Declared<unknown>

/** The name of a flag, without its dashes and what it takes. */
const flagName = ({ flags }: Flag): string => flagOf(flags).replace(/^--/, '')

/** A flag as commander takes it. Where a help text is wanted, `formats` are those that `--format` can be. */
export function optionOf(flag: Flag, formats: string[]): Option {
  const { flags, help } = flag
  const listed = flagName(flag) === 'format' && formats.length > 0
  const option = new Option(
    flags,
    listed ? `${formats.join(', ').replace(/, (\w+)$/, ' or $1')} (${help})` : help,
  )
  return flag.repeated ? option.argParser((value, before: string[] = []) => [...before, value]) : option
}

/** The global flags that a text follows. */
const withText = new Set(
  Object.values(globalOptions).flatMap(option => (option.flags.includes(' <') ? flagNames(option) : [])),
)

/**
 * Where the command is in a command line, -1 where it names none. A text that belongs to a global flag is
 * not the command, whatever it says: `--track demo status`.
 */
export const commandPlace = (argv: string[], commands: { has(name: string): boolean }): number =>
  argv.findIndex((word, i) => commands.has(word) && !withText.has(argv[i - 1] ?? ''))

/** The first word that is neither a flag nor what belongs to a global one. */
export const firstWord = (argv: string[]): string | undefined =>
  argv.find((word, i) => !word.startsWith('-') && !withText.has(argv[i - 1] ?? ''))

/** The file of the configuration: as named, else here, else in the folder that is named. */
export function configPath(named: string | null, dir: string | null, cwd: string): string {
  if (named !== null) return resolve(cwd, named)
  const places = [cwd, ...(dir === null ? [] : [resolve(cwd, dir)])].map(folder => join(folder, configName))
  return places.find(path => existsSync(path)) ?? places[0]!
}

/** The folder with the tracks: as named, as configured, here if it has them, else the package's own. */
export const rootOf = (named: string | null, configured: string | null, cwd: string, home: string): string =>
  named ? resolve(cwd, named) : configured ? resolve(cwd, configured) : looksLikeProject(cwd) ? cwd : home

/** A flag for each filter of the tracks in the folder that the command will use. */
export async function filterFlags(argv: string[], cwd: string, home: string): Promise<Flag[]> {
  const early = new Program().allowUnknownOption().option('--dir <folder>').option('--config <file>')
  early.parseOptions(argv)
  const { dir, config } = early.opts<{ dir?: string; config?: string }>()
  const read = await configOrNone(configPath(config ?? null, dir ?? null, cwd))
  const filters = filtersIn(rootOf(dir ?? null, read?.config.dir ?? null, cwd, home))
  return [...filters].map(([name, help]) => list(`--${name} <values>`, help))
}

/** The configuration; none where it has faults, which are reported when the command runs. */
async function configOrNone(path: string): Promise<ConfigRead | null> {
  try {
    return await readConfig(path, false)
  } catch (error) {
    if (!(error instanceof Failure || error instanceof Failures)) throw error
    return null
  }
}

/** The flags whose names are not taken by others; a filter with a taken name works by `--filter` alone. */
export function without(flags: Flag[], others: Flag[]): Flag[] {
  const taken = new Set(['help', ...others.map(flagName)])
  return flags.filter(flag => !taken.has(flagName(flag)))
}

/** Adds what the flags of filters were given to the values of `--filter`, which alone the command reads. */
export function foldFilters(flags: Flag[], typed: Record<string, Typed>): void {
  for (const flag of flags) {
    const value = typed[attributeOf(flag.flags)]
    if (typeof value !== 'string') continue
    const before = Array.isArray(typed.filter) ? typed.filter : []
    typed.filter = [...before, `${flagName(flag)}=${value}`]
  }
}
