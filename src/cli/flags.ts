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

/** The name of a flag, without its dashes and its value. */
const flagName = ({ flags }: Flag): string => flagOf(flags).replace(/^--/, '')

/** A flag for commander. For a help text, `formats` are the values of `--format`. */
export function optionOf(flag: Flag, formats: string[]): Option {
  const { flags, help } = flag
  const listed = flagName(flag) === 'format' && formats.length > 0
  const option = new Option(
    flags,
    listed ? `${formats.join(', ').replace(/, (\w+)$/, ' or $1')} (${help})` : help,
  )
  return flag.repeated ? option.argParser((value, before: string[] = []) => [...before, value]) : option
}

/** Names of the global flags with a value. */
const withText = new Set(
  Object.values(globalOptions).flatMap(option => (option.flags.includes(' <') ? flagNames(option) : [])),
)

/**
 * The position of the command in a command line, -1 if there is none. The value of a global flag is not the
 * command: `--track demo status`.
 */
export const commandPlace = (argv: string[], commands: { has(name: string): boolean }): number =>
  argv.findIndex((word, i) => commands.has(word) && !withText.has(argv[i - 1] ?? ''))

/** The first word that is neither a flag nor the value of a global flag. */
export const firstWord = (argv: string[]): string | undefined =>
  argv.find((word, i) => !word.startsWith('-') && !withText.has(argv[i - 1] ?? ''))

/**
 * The path of the configuration: the named file, else the one in the working directory, else the one in the
 * named folder.
 */
export function configPath(named: string | null, dir: string | null, cwd: string): string {
  if (named !== null) return resolve(cwd, named)
  const places = [cwd, ...(dir === null ? [] : [resolve(cwd, dir)])].map(folder => join(folder, configName))
  return places.find(path => existsSync(path)) ?? places[0]!
}

/**
 * The folder with the tracks: the named one, the configured one, the working directory if it has tracks, or
 * the package's.
 */
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

/** The configuration; null if it has faults, which the command reports later. */
async function configOrNone(path: string): Promise<ConfigRead | null> {
  try {
    return await readConfig(path, false)
  } catch (error) {
    if (!(error instanceof Failure || error instanceof Failures)) throw error
    return null
  }
}

/** The flags whose names are not taken by others. A filter with a taken name needs `--filter`. */
export function without(flags: Flag[], others: Flag[]): Flag[] {
  const taken = new Set(['help', ...others.map(flagName)])
  return flags.filter(flag => !taken.has(flagName(flag)))
}

/** Adds the values of filters' flags to those of `--filter`, which the command reads. */
export function foldFilters(flags: Flag[], typed: Record<string, Typed>): void {
  for (const flag of flags) {
    const value = typed[attributeOf(flag.flags)]
    if (typeof value !== 'string') continue
    const before = Array.isArray(typed.filter) ? typed.filter : []
    typed.filter = [...before, `${flagName(flag)}=${value}`]
  }
}
