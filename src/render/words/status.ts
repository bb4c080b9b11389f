import { number, plural } from '../../model/plural.js'
import { duration } from './numbers.js'
import { type Group, listed, say, sentence } from './say.js'

/** Names for what each level of `plan --fail-on` counts. */
const failing: Record<string, string> = {
  warn: 'warning',
  hazard: 'hazard',
  pending: 'pending migration',
}

/** The words of findings of lint, `--fail-on` and status. */
export const statusWords = {
  FILES_HOLD: say(
    (s, f) => sentence`The rules find nothing wrong in ${plural(f.files, 'file')} of \`${s}\`.`,
  ),
  FAIL_ON: say(
    (s, f) =>
      sentence`\`--fail-on ${s}\`: ${plural(f.names.length, failing[s] ?? 'finding')}${s === 'hazard' ? ' that `--allow` does not name' : ''}: ${listed(f.names)}.`,
    (s, f) => (s === 'hazard' ? sentence`--allow ${f.names.join(',')}` : null),
  ),
  AT_WORK: say(
    (s, f) =>
      sentence`At work: \`${s}\`${f.run === null ? '' : sentence`, run ${f.run}`}${f.since === null ? '' : sentence` since ${f.since} UTC`}${f.pid === null ? '' : sentence`, pid ${f.pid}`}${f.heartbeatSeconds === null ? '' : sentence`; alive ${duration(f.heartbeatSeconds * 1000)} ago`}.`,
  ),
  RUN_KILLED: say(
    (s, f) =>
      sentence`No run is at work: \`${s}\`${f.run === null ? '' : sentence` (run ${f.run})`} was killed${f.silentSeconds === null ? '' : sentence`; its last sign of life was ${duration(f.silentSeconds * 1000)} ago`}. The next run continues where it stopped.`,
  ),
  NOBODY_AT_WORK: say(s => sentence`No run is at work on \`${s}\`.`),
  HOW_FAR: say(
    (s, f) =>
      sentence`${f.applied} of ${f.of} migrations of \`${s}\` are applied${f.backfill === null ? '' : sentence`; backfill \`${f.backfill}\`${f.percent === null ? '' : sentence` is at ${f.percent}%`}${f.rowsPerSecond === null ? '' : sentence`, ${number(f.rowsPerSecond)} rows/s`}${f.etaSeconds === null ? '' : sentence`, ${duration(f.etaSeconds * 1000)} left`}`}.`,
  ),
  NOT_DRIFTED: say(s => sentence`Nobody has changed the schema since the last step of \`${s}\`.`),
  ARCHIVE_WAITING: say(
    (s, f) =>
      sentence`Archive \`${s}\` of the rollback at ${f.at} UTC holds ${plural(f.rows, 'row')}${f.made === null ? '' : sentence`, ${number(f.made)} of which people had made or changed`}. They are not in the application's tables.`,
    (_, f) => f.command,
  ),
  NEXT_STEP: say(
    () => 'The next step:',
    (_, f) => f.command,
  ),
} satisfies Group
