import { noSuchFile } from '../../model/failure.js'
import { number, plural } from '../../model/plural.js'
import { shellWord } from '../../model/shell_word.js'
import { caret, excused, type Group, listed, say, sentence } from './say.js'

/** The words of findings about files. */
export const fileWords = {
  NO_TRACKS: say(
    s => sentence`\`${s}\` has no tracks.`,
    () => 'Name a folder that holds migrations/<track>/: --dir <folder>',
  ),
  DUPLICATE_VERSION: say(
    (s, f) => sentence`\`${s}\` has version ${f.version}, and so has \`${f.other}\`.`,
    () => 'Give one of them the next free number, in migrations/ and rollbacks/.',
  ),
  BAD_FILE_NAME: say(
    s => sentence`\`${s}\` is not the name of a migration.`,
    (_, f) => sentence`Rename it to ${f.wanted}`,
  ),
  LAYOUT: say(
    (s, f) =>
      sentence`Track \`${s}\` is ${plural(f.migrations, 'migration')} of ${f.tool} in ${f.folder}, ${f.reversible} of them with a way back.`,
  ),
  LAYOUT_UNCLEAR: say(
    (s, f) =>
      f.folders.length > 0
        ? sentence`Several folders hold files of the layout \`${s}\`: ${listed(f.folders)}.`
        : sentence`Nothing in the folder has the layout \`${s}\`.`,
    (_, f) =>
      f.folders.length > 0
        ? sentence`Name one: --dir ${f.folders[0]!}`
        : 'Name the folder of the files (--dir), or leave --layout out; docs/files.md lists the layouts.',
  ),
  BAD_LAYOUT: say(
    (s, f) => sentence`\`${s}\`: ${f.reason}.`,
    () => 'Correct the file; docs/files.md says what is read of each layout.',
  ),
  UNNUMBERED_FILE: say(
    (s, f) => sentence`\`${s}\` is not run: its name is not ${f.wanted}.`,
    () => 'Rename it where it is a migration; else it can stay.',
  ),
  NOT_IN_JOURNAL: say(
    (s, f) => sentence`\`${s}\` is not run: \`${f.journal}\` does not name it.`,
    () => 'Add it to the journal where it is a migration; else delete it.',
  ),
  MIXED_DIGITS: say(
    (s, f) => sentence`\`${s}\` comes after \`${f.before}\`, because versions are compared as ${f.compares}.`,
    () => 'Give all files versions with the same number of digits, or make sure that this order is meant.',
  ),
  NOT_SQL: say(
    (s, f) => sentence`\`${s}\` is run by ${f.tool} itself, and rethread runs SQL files only.`,
    (_, f) => sentence`Write it as SQL, or apply it with ${f.tool} and move it out of the folder.`,
  ),
  ONE_WAY: say(
    (s, f) =>
      sentence`No way back is written for ${f.count} of the pending migrations of \`${s}\`: ${listed(f.migrations)}${f.count > f.migrations.length ? ' and others' : ''}.`,
    s =>
      sentence`Nothing is needed; a rollback beyond them is refused, unless rollbacks/${s}/<migration>.sql undoes it.`,
  ),
  BAD_HEADER: say(
    (s, f) => sentence`\`${s}\`: ${f.reason}.`,
    () => 'See docs/files.md for the keys of each kind of file.',
  ),
  EMPTY_FILE: say(
    (s, f) => sentence`\`${s}\` holds no statement${f.reason ? sentence` (${f.reason})` : ''}.`,
    () => 'Write the SQL, or delete the file.',
  ),
  NOT_UTF8: say(
    s => sentence`\`${s}\` is not UTF-8.`,
    s => sentence`iconv -f latin1 -t utf-8 ${s} > fixed.sql`,
  ),
  FILE_TOO_LARGE: say(
    (s, f) =>
      sentence`\`${s}\` has ${number(f.characters)} characters, and at most ${number(f.most)} are read of one file.`,
    () => 'Divide it into several migrations; rows of data are better loaded with COPY, by psql.',
  ),
  BAD_TRACK_INFO: say(
    (s, f) => sentence`\`${s}\`: ${f.reason}.`,
    () => 'docs/files.md describes it.',
  ),
  BAD_EXPECTED: say(
    (s, f) => sentence`\`${s}\`: ${f.reason}.`,
    () => 'Correct the file: docs/files.md describes it.',
  ),
  BAD_SETTING: say(
    (s, f) => sentence`\`${s}\`: ${f.reason}.`,
    (_, f) =>
      f.known.length > 0
        ? sentence`Use one of: ${listed(f.known)}`
        : 'Change it in rethread.config.json, or remove it.',
  ),
  NO_TRACK_INFO: say(
    s => sentence`Track \`${s}\` does not say what its tables mean.`,
    s => sentence`Write migrations/${s}/track.json; see docs/files.md.`,
  ),
  FILE_EXISTS: say(
    s => sentence`\`${s}\` exists already, and was not overwritten.`,
    () => 'Move it, or name another folder: --dir <folder>',
  ),
  SEEN: say(
    (s, f) => sentence`\`${s}\` of track \`${f.track}\` was found, with its rollback and its check.`,
    (_, f) => sentence`Write the SQL, then: rethread plan --track ${shellWord(f.track)}`,
  ),
  COPIED: say(
    (s, f) =>
      sentence`Track \`${s}\` was written to ${f.to}: ${plural(f.files, 'file')}, ${plural(f.names, 'name')} of your own.`,
    () => 'rethread doctor   then   rethread plan',
  ),
  DROP_BEFORE_CREATE: say(
    (s, f) =>
      sentence`\`${s}\` drops \`${f.table}\` before \`${f.creates}\` creates it: it would drop another table, or none.`,
    () => 'Give the drop a higher number than the file that creates the table.',
  ),
  WITH_READS_TABLE: say(
    (s, f) =>
      sentence`\`${s}\`: \`${f.part}\` in the WITH clause of the backfill reads \`${f.table}\`, the table that is divided into batches. Each batch would read all of it, including rows that others have written${excused(f)}.`,
    (_, f) =>
      sentence`Read \`${f.table}\` only at the top level of the statement, and use LATERAL or EXISTS for what belongs to a row.`,
  ),
  SWALLOWED_EXCEPTION: say(
    (s, f) => sentence`\`${s}\` catches every exception${excused(f)}.`,
    () => 'Name the exception that you expect, and let the others through.',
  ),
  DEFINER_WITHOUT_SEARCH_PATH: say(
    (s, f) =>
      f.sets
        ? sentence`\`${s}\`: function ${f.name} is SECURITY DEFINER, and its search_path does not end with pg_temp: PostgreSQL looks for its types among the caller's temporary ones first${excused(f)}.`
        : sentence`\`${s}\`: function ${f.name} is SECURITY DEFINER and uses the caller's search_path${excused(f)}.`,
    () => 'Add: set search_path = pg_catalog, pg_temp   and write every other name with its schema.',
  ),
  POLICY_WITHOUT_TO: say(
    (s, f) =>
      sentence`\`${s}\`: policy ${f.policy} of ${f.table} has no TO clause, so it applies to every role, anon included${excused(f)}.`,
    () => 'Add: to authenticated',
  ),
  POLICY_WITHOUT_CHECK: say(
    (s, f) =>
      sentence`\`${s}\`: policy ${f.policy} of ${f.table} allows writes without WITH CHECK${excused(f)}.`,
    () => 'Add WITH CHECK (...), so that a row cannot be moved to another tenant.',
  ),
  BULK_WRITE: say(
    (s, f) =>
      sentence`\`${s}\` writes ${f.where ? '' : 'all '}rows of \`${f.table}\` in one transaction${excused(f)}.`,
    () => 'Make it a backfill: --! phase: backfill   with --! table and --! pending (docs/backfill.md).',
  ),
  RLS_BEFORE_POLICIES: say(
    (s, f) =>
      sentence`\`${s}\` enables row security for \`${f.table}\` before it has a policy: its users see no rows${excused(f)}.`,
    () => 'Create the policies first, in the same transaction.',
  ),
  CASCADING_DROP: say(
    (s, f) => sentence`\`${s}\`: \`${f.sql}\` also drops whatever depends on it${excused(f)}.`,
    () => 'Drop the dependent objects that you know by name, and let the server refuse the rest.',
  ),
  ENUM_VALUE_TOO_EARLY: say(
    (s, f) =>
      sentence`\`${s}\` uses the enum value '${f.value}' in the transaction that adds it, which the server refuses${excused(f)}.`,
    () => 'Use it in the next file; better still, a text column with a CHECK.',
  ),
  SQUAWK: say(
    (s, f) => sentence`\`${s}\`: ${f.message.replace(/\.$/, '')} (squawk: ${f.rule})${excused(f)}.`,
    (_, f) =>
      sentence`${f.help ? sentence`${f.help} ` : ''}Or excuse it above the statement, with the reason: -- allow SQUAWK: ...`,
  ),
  BYTE_ORDER_MARK: say(
    s => sentence`\`${s}\` starts with a byte order mark, which psql would send to the server.`,
    s => sentence`sed -i '1s/^\\xEF\\xBB\\xBF//' ${s}`,
  ),
  CR_IN_BODY: say(
    s => sentence`\`${s}\`: a function body has carriage returns, which the server would store.`,
    (_, f) => sentence`sed -i 's/\\r$//' ${f.file}   and in .gitattributes: *.sql text eol=lf`,
  ),
  PSQL_META_COMMAND: say(
    (s, f) => sentence`\`${s}\` is for psql only: \`${f.excerpt}\`.`,
    () => 'Remove the line: rethread sends the file to the server without psql.',
  ),
  SYNTAX: say((s, f) => sentence`\`${s}\`: ${f.reason}.${caret(f.excerpt, f.column)}`, null),
  TRANSACTION_CONTROL: say(
    (s, f) => sentence`\`${s}\`: \`${f.sql}\` would end the step's own transaction.`,
    () => 'Remove it: a file runs in one transaction, or with `--! transaction: none` each statement alone.',
  ),
  OWN_TRANSACTIONS: say(
    (s, f) =>
      sentence`\`${s}\`: \`${f.sql}\` is transaction control in a file that is not exactly one transaction.`,
    () =>
      'Make BEGIN the first and COMMIT the last statement, remove them, or divide the file. Savepoints can stay.',
  ),
  UNPROVABLE_STATEMENT: say(
    (s, f) =>
      f.drops
        ? sentence`\`${s}\`: \`${f.sql}\` drops data, which must be archived in the same transaction, and runs in none.`
        : sentence`\`${s}\`: the catalog cannot prove that \`${f.sql}\` has run, so a run that was stopped could not be resumed.`,
    () => 'Move it to a file with a transaction.',
  ),
  NEEDS_NO_TRANSACTION: say(
    (s, f) => sentence`\`${s}\`: \`${f.sql}\` cannot run inside a transaction.`,
    () => 'Put it in a file with the header `--! transaction: none`',
  ),
  NAME_TOO_LONG: say(
    (s, f) => sentence`\`${s}\`: the name ${f.name} is longer than 63 bytes and would be cut.`,
    () => 'Choose a shorter name.',
  ),
  BAD_BACKFILL: say(
    (s, f) => sentence`\`${s}\`: ${f.reason}.`,
    () => 'See docs/backfill.md for the shape of a backfill file.',
  ),
  MISSING_ROLLBACK: say(
    s => sentence`\`${s}\` has no way back.`,
    (_, f) =>
      sentence`Write ${f.wanted}, or put \`--! undone-by: <migration>\` or \`--! irreversible: <why>\` into its header.`,
  ),
  EMPTY_ROLLBACK: say(
    s => sentence`\`${s}\` holds no statement: running it would undo nothing and be recorded as a rollback.`,
    () =>
      'Write the SQL, or delete the file and put `--! irreversible: <why>` into the header of the migration.',
  ),
  ORPHAN_ROLLBACK: say(
    s => sentence`\`${s}\` undoes a migration that does not exist.`,
    () => 'Delete it, or give it the file name of its migration.',
  ),
  MISSING_VERIFY: say(
    s => sentence`\`${s}\` has no check.`,
    s =>
      sentence`Add at least one: ${s}<check>.sql returns a row (object, detail) for each thing that is wrong.`,
  ),
  PHASE_ORDER: say(
    (s, f) =>
      sentence`\`${s}\` is of phase ${f.phase} but comes after \`${f.before}\` of phase ${f.beforePhase}.`,
    () => 'Number the files so that expand comes before backfill and backfill before contract.',
  ),
  UNKNOWN_REFERENCE: say(
    (s, f) => sentence`\`${s}\`: \`${f.key}\` names \`${f.names}\`, which is not a migration of this track.`,
    () => 'Use the file name of a migration, without .sql',
  ),
  BAD_CONFIG: say(
    (s, f) => sentence`\`${s}\`: ${f.reason}.`,
    (_, f) =>
      f.reason === noSuchFile
        ? 'Name another file, or leave --config out.'
        : 'Fix the file; docs/operating.md lists every setting.',
  ),
} satisfies Group
