import { bullets, type Group, list, say, text } from './say.js'

/** Rollback, archives, restore and prune. */
export const rollback = {
  TARGET_NEEDED: say(
    (_, f) => text`Roll back how far? Applied: ${list(f.applied) || 'nothing'}.`,
    () => '--to <migration that stays> | --steps <n> | --all',
  ),
  UNKNOWN_MIGRATION: say(
    (s, f) => text`\`${s}\` is no migration of \`${f.track}\`.`,
    (_, f) => text`One of: ${list(f.names)}`,
  ),
  AMBIGUOUS_MIGRATION: say(
    s => text`\`${s}\` names several migrations.`,
    (_, f) => text`One of: ${list(f.names)}`,
  ),
  IRREVERSIBLE: say(
    (s, f) => text`\`${s}\` can't be rolled back: ${f.reason}.`,
    (_, f) =>
      f.undoneBy === null ? 'Roll back only to a later migration.' : 'Choose a target further back.',
  ),
  LOSS: say(
    (s, f) =>
      text`\`${s}\`: ${f.atRisk} of ${f.rows} row(s) would be lost without the archive (${f.edited} written since, ${f.users} made by users).`,
    null,
  ),
  DEPENDANTS: say(
    (s, f) => text`Other objects depend on ${s}:${bullets(f.objects)}`,
    () => 'Drop or change them first; nothing is dropped by CASCADE.',
  ),
  ARCHIVED: say(
    (s, f) => text`${f.rows} row(s) are kept in archive ${s}.`,
    (_, f) => f.command,
  ),
  NO_ARCHIVE: say(
    (s, f) =>
      s === ''
        ? text`Which archive? Known: ${list(f.known) || 'none'}.`
        : text`There is no archive \`${s}\`; known: ${list(f.known) || 'none'}.`,
    () => 'rethread restore --list',
  ),
  ROLLED_BACK_EXACTLY: say(s => text`The schema is again exactly as it was before \`${s}\`.`, null),
  ROLLBACK_DIFFERS: say(
    (s, f) => text`The schema is not as it was before \`${s}\`:${bullets(f.objects)}`,
    () =>
      '- is gone, + is new, ~ is defined otherwise: changes made meanwhile by others, or a rollback file that forgets something.',
  ),
  UNTESTED_ROLLBACK: say(
    (s, f) => text`The way back of \`${s}\` is ${f.result}:${bullets(f.objects)}`,
    () => 'Mend the rollback file.',
  ),
  PRUNABLE: say(
    (s, f) => text`${f.count} ${f.what} of \`${s}\` would be ${f.how}; nothing was changed.`,
    (_, f) => f.command,
  ),
  PRUNED: say((s, f) => text`${f.count} ${f.what} of \`${s}\` ${f.how}.`, null),
  ARCHIVE_CHANGED: say(
    (s, f) =>
      text`Archive \`${s}\` is not what was sealed (${f.rows} rows, sealed with ${f.sealed}): somebody wrote there.`,
    () => 'Compare it by hand before bringing it back.',
  ),
  RESTORE_CONFLICT: say(
    (s, f) => text`${f.rows} row(s) of \`${s}\` were left as they are:${bullets(f.first)}`,
    null,
  ),
  RESTORED: say(
    (s, f) => text`Archive ${s} is back: ${f.rows} row(s) brought back or set back.`,
    () => 'rethread verify',
  ),
  DRIFT: say(
    (_, f) => text`The schema has changed since the last step of rethread:${bullets(f.objects)}`,
    () =>
      'Put the objects back, or write the change down as a migration; - is gone, + is new, ~ is defined otherwise.',
  ),
} satisfies Group
