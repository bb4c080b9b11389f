import { plural } from '../../model/plural.js'
import { bullets, type Group, say, sentence } from './say.js'

/** Why a step ended early, by its outcome in the ledger. */
const endings: Record<string, string> = {
  started: 'the run was killed',
  failed: 'it failed',
  interrupted: 'it was interrupted',
}

/** The words of findings about the ledger, files, pinned plans and rehearsals. */
export const historyWords = {
  APPLIED_FILE_CHANGED: say(
    s => sentence`\`${s}\` was changed after it was applied.`,
    s => sentence`git checkout <applied commit> -- ${s}   and put the change in a new migration.`,
  ),
  APPLIED_FILE_REFORMATTED: say(
    s => sentence`\`${s}\` differs from the applied file only in comments or white space.`,
    null,
  ),
  APPLIED_FILE_MISSING: say(
    (s, f) => sentence`\`${s}\` was applied on ${f.at} and is not on disk.`,
    s => sentence`git log --diff-filter=D -- ${s}   and bring it back.`,
  ),
  OUT_OF_ORDER: say(
    (s, f) => sentence`\`${s}\` comes before \`${f.after}\`, which is applied.`,
    () => 'Give it a number after the last applied migration.',
  ),
  UNFINISHED: say(
    (s, f) =>
      sentence`${f.direction === 'up' ? '' : 'The rollback of '}\`${s}\` began at ${f.at.slice(0, 19)} UTC and did not finish: ${endings[f.outcome] ?? f.outcome}${f.reached === 0 ? '' : sentence` after ${plural(f.reached, 'statement')}`}.${f.goneOn ? ' This run has finished it.' : ''}`,
    (_, f) =>
      f.goneOn
        ? null
        : f.direction === 'up'
          ? 'rethread migrate   continues it.'
          : 'rethread rollback   with the same target continues it; rethread migrate   applies it again instead.',
  ),
  NEWER_LEDGER: say(
    (s, f) => sentence`${s} has version ${f.found}. This rethread supports versions up to ${f.known}.`,
    () => 'npm install rethread@latest',
  ),
  LEDGER_ABSENT: say(
    s => sentence`rethread has not migrated \`${s}\` yet. The first \`migrate\` creates its ledger there.`,
    null,
  ),
  NOT_SAMPLED: say(
    (s, f) => sentence`No batch of \`${s}\` could be sampled: ${f.reason}.`,
    () =>
      'rethread migrate --no-backfill   creates what the first backfill needs. Later ones can be sampled after it.',
  ),
  BAD_PIN: say(
    (s, f) => sentence`\`${s}\` is not a pinned plan: ${f.reason}.`,
    () => 'rethread plan --out plan.json   writes one.',
  ),
  PLAN_OUTDATED: say(
    (s, f) =>
      `The plan of \`${s}\` changed after it was approved, and nothing was executed:${bullets(f.changes)}`,
    () => 'Run the same command again: it makes the plan as it is now. `rethread plan` shows it first.',
  ),
  PLAN_CHANGED: say(
    (s, f) => sentence`The plan of \`${s}\` no longer holds:${bullets(f.changes)}`,
    () => 'rethread plan --out plan.json   and have it reviewed again.',
  ),
  REHEARSED: say(
    (s, f) =>
      sentence`Rehearsed in ${f.on === 'target' ? 'this database' : sentence`\`${s}\``}: ${plural(f.steps, 'step')} up and down again, after which the schema was as before.`,
    null,
  ),
  OLD_APP_CHANGES: say(
    (s, f) =>
      sentence`The old application's \`${s}\` gives ${f.before} before the migration, and ${f.now} ${f.after}.`,
    () => 'Deploy an application that does not send it any more before this phase.',
  ),
  NEW_APP_FAILS: say(
    (s, f) =>
      sentence`The new application's \`${s}\` (line ${f.line}) fails ${f.after}: ${f.sqlstate}: ${f.reason}.`,
    () => 'Change the statement, or add a migration that makes what it needs, before you deploy.',
  ),
  NEW_APP_EARLY: say(
    (s, f) =>
      sentence`The new application was tried ${s}: these steps were not rehearsed, so what they create does not exist yet:${bullets(f.steps)}`,
    () => 'rethread plan --rehearse-url <a copy> --new-app new_app.sql   tries it after all of them.',
  ),
  REHEARSED_HERE: say(
    s =>
      sentence`The rehearsal in \`${s}\` itself took real locks until its transaction was rolled back, and wrote WAL.`,
    () => 'rethread plan --rehearse --rehearse-url <a copy>   disturbs nobody.',
  ),
  REHEARSED_ELSEWHERE: say(
    (s, f) =>
      sentence`The copy \`${s}\` is not in the same state: ${plural(f.applied, 'migration', 'are')} applied there, ${f.target} on the target.`,
    () => 'Make the copy again, so that the rehearsal is of this plan.',
  ),
  REHEARSAL_STUCK: say(
    (s, f) => sentence`The rollback could not be rehearsed to the end: \`${s}\`, ${f.reason}.`,
    null,
  ),
  REHEARSAL_DIFFERS: say(
    (s, f) =>
      sentence`After the rollback ${f.on === 'target' ? 'this database' : sentence`\`${s}\``} differs from before:${bullets(f.objects)}`,
    () => 'Fix the rollback files.',
  ),
} satisfies Group
