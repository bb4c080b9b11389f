import { UsageError } from '../model/failure.js'
import { count, list, optionOfText, splitAtCommas, text } from '../model/options.js'
import { nearest } from '../model/similar.js'
import type { FleetTarget } from './parse_targets.js'

/** The databases that go first: a number from the top of the list, or names. */
type Canary = number | string[]

/** Options of the commands that can run on many databases. */
export const fleetOptions = {
  targets: text(
    '--targets <list>',
    'run over many databases: a file with one URL per line, or `command:` and a program that prints them',
  ),
  select: list('--select <names>', 'only these databases of the list, by name'),
  canary: optionOfText(
    '--canary <n or names>',
    'databases that go first: if one of them fails, nothing else runs (default 1, 0 where nothing is changed)',
    (typed): Canary => (/^\d+$/.test(typed) ? Number(typed) : splitAtCommas(typed)),
  ),
  wave: count(
    '--wave <n>',
    'then this many at a time: a wave begins when the one before it has ended (default all at once)',
  ),
  jobs: count('--jobs <n>', 'databases at work at the same time (default 4)', 4),
  stopAfter: count(
    '--stop-after <failures>',
    'start no more databases after this many have failed (default 1, no limit where nothing is changed)',
  ),
  deadline: count('--deadline <seconds>', 'stop a database that takes longer, as Ctrl-C does (default none)'),
}

/** Their values. */
export interface FleetValues {
  targets: string | null
  select: string[]
  canary: Canary | null
  wave: number | null
  jobs: number
  stopAfter: number | null
  deadline: number | null
}

/** The order in which databases run, and when to stop. */
export interface Rollout {
  /** Positions in the list, by group: the canaries, then the waves. */
  groups: number[][]
  /** Whether the first group is the canaries. */
  hasCanaries: boolean
  jobs: number
  /** Number of failures after which no more databases are started; null for no limit. */
  stopAfter: number | null
}

/**
 * The order of the databases. `careful` is for commands that change something: by default one database goes
 * first, and a failure stops the rest. Throws USAGE for a canary that is not in the list.
 */
export function rolloutOf(targets: FleetTarget[], options: FleetValues, careful: boolean): Rollout {
  const canary = options.canary ?? (careful ? 1 : 0)
  // a database may have a number as its name: `--canary 7` must not mean the first seven then
  if (typeof options.canary === 'number' && targets.some(t => t.name === String(canary)))
    throw new UsageError(`--canary ${canary}`, 'it is a number and the name of a database too', {
      meant: `--canary ${canary},`,
    })
  const first =
    typeof canary === 'number'
      ? targets.slice(0, canary).map((_, i) => i)
      : placesInList(targets, '--canary', canary)
  const rest = targets.map((_, i) => i).filter(i => !first.includes(i))
  const size = options.wave ?? Math.max(1, rest.length)
  const waves = Array.from({ length: Math.ceil(rest.length / size) }, (_, n) =>
    rest.slice(n * size, (n + 1) * size),
  )
  return {
    groups: first.length > 0 ? [first, ...waves] : waves,
    hasCanaries: first.length > 0,
    jobs: options.jobs,
    stopAfter: options.stopAfter ?? (careful ? 1 : null),
  }
}

/** The databases that `--select` names, in the order of the list. All if it names none. */
export function selected(targets: FleetTarget[], names: string[]): FleetTarget[] {
  if (names.length === 0) return targets
  const places = placesInList(targets, '--select', names)
  return targets.filter((_, i) => places.includes(i))
}

/** Positions of names in the list. Throws USAGE for a name that is not in it. */
function placesInList(targets: FleetTarget[], flag: string, names: string[]): number[] {
  const known = targets.map(t => t.name)
  return [...new Set(names)].map(name => {
    const place = known.indexOf(name)
    if (place >= 0) return place
    const meant = nearest(name, known)
    const right = { meant: meant && `${flag} ${meant}` }
    throw new UsageError(`${flag} ${name}`, 'no database of the list has this name', right)
  })
}
