import { type HazardLevel, needsConsent } from '../model/codes.js'
import { Failure } from '../model/failure.js'
import type { Elsewhere, HistoryTool } from '../model/other_tool.js'
import { bareStep, type Plan, type Step } from '../model/plan.js'
import { type Migration, type Phase, phases, type Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { shellWord } from '../model/shell_word.js'
import { withoutZeros } from '../model/versions.js'
import { type History, onlyElsewhere, upward } from '../run/ledger_history.js'
import { notKeptFindings } from './other_tool.js'

/** How far a plan is to go. */
export interface PlanOptions {
  /** The last migration to apply; null for no limit. */
  to: string | null
  /** The last phase to enter. Null for a plain `migrate`, which never ends the old application. */
  phase: Phase | null
  backfills: boolean
}

/** All that bare `migrate` runs: as far as the old application survives it. */
export const barePlanOptions: PlanOptions = { to: null, phase: null, backfills: true }

/** How an applied file differs from what is on disk now. */
export type Changed = ReadonlyMap<string, 'reformatted' | 'changed'>

/** Pure: which migrations would run, in which order, and where the plan stops. */
export function makePlan(track: Track, history: History, changed: Changed, options: PlanOptions): Plan {
  const { applied, unfinished, reopened } = history
  const findings = [...judgeHistory(track, history, changed), ...elsewhereFindings(track, history)]
  const target = options.to === null ? null : findMigration(track, options.to)
  const again = (m: Migration) =>
    reopened?.has(m.name) || isBegunAgain(history, m) || (m.foreign?.repeatable && changed.has(m.name))
  const pending = track.migrations.filter(
    m => (!applied.has(m.name) || again(m)) && !onlyElsewhere(history, m.name),
  )
  const beyond = target && new Set(track.migrations.slice(placeIn(track, target) + 1))
  const steps: Step[] = []
  const held: Plan['held'] = []
  for (const migration of pending) {
    const why = held[0]?.why ?? stopBefore(migration, beyond, options)
    if (why) held.push({ migration, why, hazards: [] })
    else steps.push(bareStep(migration, 'up', upward(unfinished.get(migration.name))))
  }
  if (track.unkept && steps.length > 0) findings.push(track.unkept)
  const toApply = steps.map(s => s.migration).filter(m => !applied.has(m.name))
  findings.push(...notKeptFindings(track, history, toApply))
  return {
    track: track.name,
    steps,
    held,
    applied: track.migrations.filter(m => applied.has(m.name)),
    findings,
  }
}

/**
 * Whether a finished backfill was reopened and did not end. It runs again also where nothing is pending any
 * more: the rows that failed are gone or repaired, and it is the backfill that takes them off the list.
 */
const isBegunAgain = ({ applied, unfinished }: History, { name, backfill }: Migration): boolean =>
  backfill !== null &&
  applied.has(name) &&
  upward(unfinished.get(name)) !== null &&
  !(backfill.until && applied.has(backfill.until))

/** Why a plan with these options stops before a migration; null if it continues. */
export function stopBefore(
  m: Migration,
  beyond: ReadonlySet<Migration> | null,
  options: PlanOptions,
): Plan['held'][number]['why'] | null {
  if (beyond?.has(m)) return 'target'
  if (options.phase && phases.indexOf(m.phase) > phases.indexOf(options.phase)) return 'phase'
  // --phase contract or --to the migration is a request; the guard then asks for the hazard by name
  if (m.endsOldApp && options.phase !== 'contract' && !beyond) return 'ends-old-app'
  if (m.backfill && !options.backfills) return 'no-backfill'
  return null
}

function judgeHistory(track: Track, { applied, unfinished }: History, changed: Changed): Finding[] {
  const findings: Finding[] = []
  const names = new Set(track.migrations.map(m => m.name))
  // a repeatable migration runs again when it has changed, always after all others
  const last = track.migrations.filter(m => applied.has(m.name) && !m.foreign?.repeatable).at(-1)
  const lastPlace = last ? placeIn(track, last) : -1
  for (const [name, row] of applied) {
    // a deleted file is an error; never guess
    if (!names.has(name))
      findings.push(finding('APPLIED_FILE_MISSING', pathOfMissing(track, name), { at: row.at }))
  }
  for (const [place, m] of track.migrations.entries()) {
    const change = changed.get(m.name)
    if (change && !m.foreign?.repeatable)
      findings.push(
        finding(change === 'changed' ? 'APPLIED_FILE_CHANGED' : 'APPLIED_FILE_REFORMATTED', m.file.path),
      )
    if (last && !applied.has(m.name) && place < lastPlace) {
      findings.push(finding('OUT_OF_ORDER', m.file.path, { after: last.file.path }))
    }
    const open = unfinished.get(m.name)
    if (open) {
      findings.push(
        finding('UNFINISHED', m.file.path, {
          outcome: open.outcome,
          reached: open.reached,
          direction: open.direction,
          at: open.at,
          goneOn: false,
        }),
      )
    }
  }
  return findings
}

/** Migrations that are in another tool's history and not in the ledger. */
function elsewhereFindings(track: Track, history: History): Finding[] {
  const applied = knownElsewhere(track, history, 'applied')
  return [
    ...brokenElsewhere(track, history),
    ...(applied.length === 0
      ? []
      : [
          finding('APPLIED_ELSEWHERE', track.name, {
            tool: applied[0]!.elsewhere.tool,
            migrations: applied.map(f => f.m.name),
          }),
        ]),
  ]
}

const knownElsewhere = (track: Track, history: History, state: Elsewhere['state']) =>
  track.migrations.flatMap(m => {
    const elsewhere = onlyElsewhere(history, m.name)
    return elsewhere?.state === state ? [{ m, elsewhere }] : []
  })

/** Why a migration cannot be adopted: the other tool did not finish it, or applied another text. */
export function brokenElsewhere(track: Track, history: History): Finding[] {
  return [
    ...knownElsewhere(track, history, 'failed').map(({ m, elsewhere: { tool, rows, at } }) =>
      finding('ELSEWHERE_FAILED', m.name, {
        tool,
        row: rows.at(-1)!,
        at,
        settle: howToSettle(tool, rows.at(-1)!),
        track: track.name,
      }),
    ),
    ...knownElsewhere(track, history, 'changed').map(({ m, elsewhere: { tool } }) =>
      finding('ELSEWHERE_CHANGED', m.name, { tool, file: m.file.path, track: track.name }),
    ),
  ]
}

/** The tool's own command that settles an interrupted migration after a person has checked it. */
function howToSettle(tool: HistoryTool, row: string): string {
  switch (tool) {
    case 'golang-migrate':
      return `migrate force ${row}`
    case 'flyway':
      return 'flyway repair'
    case 'prisma':
      return `prisma migrate resolve --applied ${row} (or --rolled-back)`
    default:
      return 'by its own command'
  }
}

/** The position of a migration in its track, from 0 in the order of application; -1 if it is not in it. */
export const placeIn = (track: Track, m: Migration): number =>
  track.migrations.findIndex(other => other.name === m.name)

/** The path that a missing file had. */
const pathOfMissing = ({ name: track, layout }: Track, name: string): string =>
  layout ? `${layout.folder === '.' ? '' : layout.folder}${name}` : `migrations/${track}/${name}.sql`

/**
 * Finds a migration by version, basename, slug or track/basename.
 * Throws UNKNOWN_MIGRATION, or AMBIGUOUS_MIGRATION with the candidates.
 */
export function findMigration(track: Track, text: string): Migration {
  const name = text.startsWith(`${track.name}/`) ? text.slice(track.name.length + 1) : text
  const version = /^\d+$/.test(name) ? withoutZeros(name) : null
  const matches = track.migrations.filter(
    m =>
      m.name === name || m.version === name || m.version === version || m.name.replace(/^\d+_/, '') === name,
  )
  if (matches.length > 1) throw new Failure('AMBIGUOUS_MIGRATION', text, { names: matches.map(m => m.name) })
  if (!matches[0])
    throw new Failure('UNKNOWN_MIGRATION', text, {
      track: track.name,
      names: track.migrations.map(m => m.name),
    })
  return matches[0]
}

/**
 * STOPPED_BEFORE for what a described plan leaves. Its command is the next one to run: while steps are
 * left, `migrate` for these; afterwards the one that runs the rest, with the `--allow` that it will need.
 */
export function heldFindings(
  plan: Plan,
  database: string,
  from: HazardLevel = 'outage',
  stepsDone = plan.steps.length === 0,
): Finding[] {
  const hazards = new Set(
    plan.held.flatMap(h => h.hazards.map(z => z.code)).filter(c => needsConsent(c, from)),
  )
  const leaving = plan.held.flatMap(h => plan.leaving?.get(h.migration.name) ?? [])
  const names = [...hazards]
    .sort()
    .map(h => (h === 'QUARANTINES_ROWS' && leaving.length > 0 ? `${h}=${Math.max(...leaving)}` : h))
  const allow = names.length === 0 ? '' : ` --allow ${names.join(',')}`
  const takesOut = leaving.reduce((sum, rows) => sum + rows, 0)
  const migrate = `rethread migrate --track ${shellWord(plan.track)}`
  return stoppedBefore(plan, database, stepsDone ? `${migrate} --phase contract${allow}` : migrate, takesOut)
}

/**
 * STOPPED_BEFORE for a plan that was not described. Its command is `plan`, which shows what must be
 * allowed.
 */
export const undescribedHeld = (plan: Plan, database: string): Finding[] =>
  stoppedBefore(plan, database, `rethread plan --track ${shellWord(plan.track)} --phase contract`)

/** `contract` is the command to run if the rest of the plan ends the old application. */
function stoppedBefore(plan: Plan, database: string, contract: string, takesOut?: number): Finding[] {
  const first = plan.held[0]
  if (!first) return []
  const ends = first.why === 'ends-old-app'
  return [
    finding('STOPPED_BEFORE', first.migration.name, {
      why: first.why,
      left: plan.held.length,
      because: ends ? first.migration.endsOldApp : null,
      ...(takesOut === undefined ? {} : { takesOut }),
      command: ends ? contract : `rethread migrate --track ${shellWord(plan.track)}`,
      database,
    }),
  ]
}
