import { readAddress } from '../database/address.js'
import { Failure, Failures } from '../model/failure.js'
import { type Finding, finding } from '../model/report.js'

/** One database of a list. */
export interface FleetTarget {
  /** Its name in reports and for `--canary`. */
  name: string
  /** Its URL. Its secrets must not be shown. */
  url: string
}

/** Allowed names: they are shown in reports, and typed between commas after `--canary`. */
const goodName = /^[A-Za-z0-9][\w.@:-]*$/

/**
 * Parses a list of databases: one per line, `name=postgres://...` or only a URL, whose name is then
 * `database@host`. Empty lines and lines with `#` are skipped. Throws Failures with all lines that are wrong;
 * `source` is the list's name in them. Messages do not quote lines, which may contain a password.
 */
export function parseTargets(text: string, source: string): FleetTarget[] {
  const faults: Finding[] = []
  const targets: FleetTarget[] = []
  const names = new Map<string, number>()
  const places = new Map<string, number>()
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const number = index + 1
    const fault = (reason: string) => faults.push(finding('BAD_TARGETS', `${source}:${number}`, { reason }))
    const read = readLine(line)
    if (typeof read === 'string') {
      fault(read)
      continue
    }
    const { name, url, place } = read
    const sameName = names.get(name)
    const samePlace = places.get(place)
    if (samePlace !== undefined) fault(`it leads to the same database as line ${samePlace}`)
    else if (sameName !== undefined) fault(`line ${sameName} has the name \`${name}\` too`)
    names.set(name, sameName ?? number)
    places.set(place, samePlace ?? number)
    targets.push({ name, url })
  }
  if (faults.length > 0) throw new Failures(faults)
  if (targets.length === 0) throw new Failure('BAD_TARGETS', source, { reason: 'there is no database in it' })
  return targets
}

/** Parses a line. Returns the target with its address, which must be unique, or the fault. */
function readLine(line: string): (FleetTarget & { place: string }) | string {
  // parameters of a URL contain a `=` too
  const alone = /^[a-z][a-z0-9+.-]*:\/\//i.test(line)
  const at = line.indexOf('=')
  if (!alone && at < 0) return 'it is neither `name=postgres://...` nor a URL'
  const url = (alone ? line : line.slice(at + 1)).trim()
  if (/\s/.test(url)) return 'there is a blank within its URL; a comment has a line of its own'
  if (/^["']/.test(url)) return 'its URL is in quotes, which nothing takes off'
  try {
    const { host, port, database } = readAddress(url)
    const place = `${host.toLowerCase()}${port === 5432 ? '' : `:${port}`}`
    const name = alone ? nameOfDatabase(database, place) : line.slice(0, at).trim()
    if (!goodName.test(name))
      return alone
        ? 'its database and host make no name: give it one, as in `name=postgres://...`'
        : 'its name may have letters, digits and _ . @ : - only, and begins with a letter or digit'
    return { name, url, place: `${database}@${place}` }
  } catch (error) {
    if (!(error instanceof Failure) || error.finding.code !== 'BAD_URL') throw error
    return `its URL cannot be used: ${error.finding.facts.reason}`
  }
}

/** The name of a database without one. The folder of a socket is not part of it. */
const nameOfDatabase = (database: string, place: string): string =>
  `${database}@${place.startsWith('/') ? 'local' : place}`
