import type { Level } from '../model/codes.js'
import type { Finding, OfFleet } from '../model/facts.js'
import { finding, type TargetReport } from '../model/report.js'

/** Most findings with the same code and level that are shown; the others are counted. */
const shownVariants = 3

/** Levels by urgency. */
const urgency: Record<Level, number> = { refused: 0, error: 1, warn: 2, info: 3 }

/** Findings sorted by urgency, else in their order. */
export const mostUrgentFirst = (findings: Finding[]): Finding[] =>
  [...findings].sort((a, b) => urgency[a.level] - urgency[b.level])

/** A finding with its databases. */
interface Folded {
  finding: Finding
  names: string[]
}

/**
 * Merges the findings of all databases, each with the names of its databases. Equal findings become one. Of
 * many findings with the same code, the first are shown and the others counted.
 */
export function foldFindings(targets: TargetReport[], list: string): Finding[] {
  const fleet = { of: targets.length, list }
  const byCode = new Map<string, Folded[]>()
  for (const one of sameFindings(targets)) {
    const key = `${one.finding.code} ${one.finding.level}`
    byCode.set(key, [...(byCode.get(key) ?? []), one])
  }
  const folded: Finding[] = []
  const hidden = new Map<Level, Folded[]>()
  for (const all of byCode.values()) {
    const { level } = all[0]!.finding
    // an info about one database is in that database's report; faults are shown if there are few
    const most = level === 'info' ? 1 : shownVariants
    const few = all.length <= most ? all : all.slice(0, level === 'info' ? 0 : most)
    folded.push(...few.map(({ finding, names }): Finding => ({ ...finding, targets: { names, ...fleet } })))
    hidden.set(level, [...(hidden.get(level) ?? []), ...all.slice(few.length)])
  }
  for (const [level, rest] of hidden) if (rest.length > 0) folded.push(moreOf(level, rest, fleet))
  return mostUrgentFirst(folded)
}

/** Replaces the name of the database in findings that only differ in it. */
const eachDatabase = '<database>'

function sameFindings(targets: TargetReport[]): Iterable<Folded> {
  const same = new Map<string, Folded>()
  for (const { name, report } of targets) {
    for (const found of report?.findings ?? []) {
      const { code, level, facts } = found
      const subject = found.subject === report!.target?.database ? eachDatabase : found.subject
      const key = JSON.stringify([code, level, subject, facts])
      const known = same.get(key)
      if (!known) same.set(key, { finding: found, names: [name] })
      // a report may have the same finding twice
      else if (known.names.at(-1) !== name) {
        known.names.push(name)
        known.finding = { ...known.finding, subject }
      }
    }
  }
  return same.values()
}

/** A finding that counts those that are not shown. */
function moreOf(level: Level, rest: Folded[], fleet: Omit<OfFleet, 'names'>): Finding {
  const codes = [...new Set(rest.map(one => one.finding.code))].join(', ')
  const names = [...new Set(rest.flatMap(one => one.names))]
  return {
    ...finding('MORE_FINDINGS', codes, { count: rest.length }, level),
    targets: { names, ...fleet },
  }
}
