import { agreeing, number, plural } from '../../model/plural.js'
import { quotedText } from '../../model/table_name.js'
import { bullets, type Group, listed, say, sentence } from './say.js'

/** The words of findings about rollback, archives, restore and prune. */
export const rollbackWords = {
  TARGET_NEEDED: say(
    (_, f) => sentence`Roll back how far? Applied: ${listed(f.applied) || 'nothing'}.`,
    () => '--to <migration that stays> | --steps <n> | --all',
  ),
  UNKNOWN_MIGRATION: say(
    (s, f) => sentence`\`${s}\` is not a migration of \`${f.track}\`.`,
    (_, f) => sentence`One of: ${listed(f.names)}`,
  ),
  AMBIGUOUS_MIGRATION: say(
    s => sentence`\`${s}\` names several migrations.`,
    (_, f) => sentence`One of: ${listed(f.names)}`,
  ),
  DESTROYS_UNARCHIVED: say(
    (s, f) =>
      `\`${f.at}\`: \`${f.sql}\` would remove what was not ${f.wanted === 'archive' ? 'archived' : 'allowed'} (${s}). The step was not done, and its transaction was rolled back:${bullets(f.takes)}`,
    (_, f) => f.instead,
  ),
  IRREVERSIBLE: say(
    (s, f) => sentence`\`${s}\` cannot be rolled back: ${f.reason}.`,
    (_, f) => f.command,
  ),
  NO_WAY_BACK: say(
    (s, f) =>
      sentence`\`${s}\` cannot be rolled back now: some of its rows were put back as a trial, and the server refused them (${f.at}): ${f.sqlstate}: ${f.reason}. Nothing was changed.`,
    () => 'Remove the cause that the server names, then run the same command again.',
  ),
  LEFT_ASIDE: say(
    (s, f) =>
      sentence`${plural(f.rows, 'row')} of \`${s}\` could not be put back in full and ${agreeing(f.rows, 'are')} still in the quarantine:${bullets(f.first)}`,
    (_, f) =>
      sentence`select key, original from rethread_archive.quarantine where migration = ${quotedText(f.migration)};`,
  ),
  LOSS: say(
    (s, f) =>
      f.atRisk === null || f.rows === null || f.edited === null || f.users === null
        ? sentence`\`${s}\`: a statement deletes rows, which are counted when they are archived.`
        : sentence`\`${s}\`: ${number(f.atRisk)} of ${plural(f.rows, 'row')} would be lost without the archive (${number(f.edited)} written since the backfill, ${number(f.users)} that \`migrate\` would not make again).`,
    null,
  ),
  DEPENDANTS: say(
    (s, f) => sentence`Other objects depend on ${s}:${bullets(f.objects)}`,
    () => 'Drop or change them first; nothing is dropped by CASCADE.',
  ),
  ARCHIVED: say(
    (s, f) => sentence`${plural(f.rows, 'row', 'are')} kept in archive ${s}.`,
    (_, f) => f.command,
  ),
  NO_ARCHIVE: say(
    (s, f) =>
      f.known.length === 0
        ? 'There is no archive: no rollback has kept anything here.'
        : s === ''
          ? sentence`Name an archive. Known: ${listed(f.known)}.`
          : sentence`There is no archive \`${s}\`; known: ${listed(f.known)}.`,
    (_, f) => (f.known.length === 0 ? null : 'rethread restore --list'),
  ),
  ROLLED_BACK_EXACTLY: say(s => sentence`The schema is again exactly as it was before \`${s}\`.`, null),
  ROLLBACK_DIFFERS: say(
    (s, f) => sentence`The schema is not as it was before \`${s}\`:${bullets(f.objects)}`,
    () =>
      '- is missing, + is new, ~ is different. Either somebody has changed the objects since, or a rollback file is incomplete.',
  ),
  UNTESTED_ROLLBACK: say(
    (s, f) =>
      f.result === 'untried'
        ? sentence`No rollback of \`${s}\` was tried, because these migrations are applied here:${bullets(f.objects)}`
        : sentence`The rollback of \`${s}\` ${f.result === 'failed' ? 'fails' : 'leaves another schema than before'}:${bullets(f.objects)}`,
    (_, f) =>
      f.result === 'untried'
        ? 'Run it on a scratch database in which nothing of the track is applied.'
        : 'Fix the rollback file.',
  ),
  PRUNABLE: say(
    (s, f) => sentence`${plural(f.count, f.what)} of \`${s}\` would be ${f.how}; nothing was changed.`,
    (_, f) => f.command,
  ),
  PRUNED: say((s, f) => sentence`${plural(f.count, f.what)} of \`${s}\` ${f.how}.`, null),
  ARCHIVE_CHANGED: say(
    (s, f) =>
      sentence`Archive \`${s}\` was changed after it was sealed (${f.rows} rows, ${f.sealed} when it was sealed).`,
    () => 'Compare it with a backup before you restore it.',
  ),
  RESTORE_CONFLICT: say(
    (s, f) =>
      sentence`${plural(f.rows, 'row')} of \`${s}\` ${agreeing(f.rows, 'were')} not changed:${bullets(f.first)}`,
    null,
  ),
  RESTORED: say(
    (s, f) => sentence`Archive ${s} is restored: ${plural(f.rows, 'row')} put back or set back.`,
    () => 'rethread verify',
  ),
  RESTORE_UNPROVEN: say(
    (s, f) =>
      sentence`The rows are back, but checks of \`${s}\` find faults: ${listed(f.checks)}. The restore is not finished.`,
    () => 'rethread verify shows what they found; the same restore can be run again.',
  ),
  DRIFT: say(
    (_, f) => sentence`The schema has changed since the last step of rethread:${bullets(f.objects)}`,
    () => 'Undo the change, or write it as a migration. - is missing, + is new, ~ is different.',
  ),
  DRIFT_UNKNOWN: say(
    (_, f) =>
      sentence`Whether the schema has changed since the last step of rethread could not be found out: ${f.reason}.`,
    () =>
      'rethread verify compares the objects of the track with what they should be. The next run that finishes a step stores how the schema looks.',
  ),
} satisfies Group
