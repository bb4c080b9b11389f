import type { Consent } from '../model/plan.js'
import type { Finding } from '../model/report.js'
import { shellWord } from '../model/shell_word.js'
import type { PlanOptions } from './make_plan.js'

/**
 * Pure: the `--allow` and `--confirm` flags of a run: those that were given, and those that a finding asks
 * for.
 */
function consentFlags(findings: Finding[], consent: Consent): string {
  const asked = findings.find(f => f.code === 'CONSENT_NEEDED')?.facts
  const allow = asked?.allow ?? [...consent.allow]
  const rows = asked?.rows ?? consent.rows
  const confirm = asked?.confirm ?? consent.confirm
  const names = allow.map(name => (name === 'QUARANTINES_ROWS' && rows ? `${name}=${rows}` : name))
  return [
    names.length > 0 ? `--allow ${names.join(',')}` : '',
    confirm ? `--confirm ${shellWord(confirm)}` : '',
  ]
    .filter(Boolean)
    .join(' ')
}

/** Pure: the command line that executes what was planned, ready to paste. */
export function migrateCommand(
  track: string,
  { to, phase, backfills }: PlanOptions,
  findings: Finding[],
  consent: Consent,
): string {
  const asked = [
    to === null ? '' : `--to ${shellWord(to)}`,
    phase === null ? '' : `--phase ${phase}`,
    backfills ? '' : '--no-backfill',
  ]
  return commandLine('migrate', track, [...asked, consentFlags(findings, consent)])
}

/** Pure: the command line that executes the plan in a file, and refuses any other. */
export const pinnedCommand = (track: string, file: string, findings: Finding[], consent: Consent): string =>
  commandLine('migrate', track, [`--plan ${shellWord(file)}`, consentFlags(findings, consent)])

/** Pure: the command line that undoes what was planned. */
export function undoCommand(
  track: string,
  { to, steps, all }: { to: string | null; steps: number | null; all: boolean },
  findings: Finding[],
  consent: Consent,
): string {
  const range = all
    ? '--all'
    : to !== null
      ? `--to ${shellWord(to)}`
      : steps === null
        ? ''
        : `--steps ${steps}`
  return commandLine('rollback', track, [range, consentFlags(findings, consent)])
}

const commandLine = (verb: string, track: string, flags: string[]): string =>
  [`rethread ${verb} --track ${shellWord(track)}`, ...flags.filter(Boolean)].join(' ')
