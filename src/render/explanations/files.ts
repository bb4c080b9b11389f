import { type Explanations, explained } from './explained.js'

/** Findings about the SQL files, the configuration and the files that rethread writes. */
export const fileExplanations = {
  FILES_HOLD: explained(
    'The rules found nothing wrong in the files.',
    'The files can be read and planned. Whether they fit a database only plan can say.',
    'Nothing.',
  ),
  NO_TRACKS: explained(
    'The folder has no migrations that rethread can read.',
    'Without files there is nothing to plan, apply or verify.',
    'Name the folder that holds the migrations with --dir, or run rethread in that folder. Without --dir and without such a folder, the shipped tracks are used.',
  ),
  DUPLICATE_VERSION: explained(
    'Two migrations of one track begin with the same number.',
    'The order of the two would depend on chance, so no migration of the track runs.',
    'Give one of them the next free number, in migrations/ and in rollbacks/. Rename only a file that has not been applied anywhere.',
  ),
  BAD_FILE_NAME: explained(
    'The name of a file does not begin with digits, an underscore and a slug in lower case.',
    'Migrations run in the order of their numbers. A file without a number has no place in that order.',
    'Rename the file as the message shows, or move it out of the folder.',
  ),
  BAD_HEADER: explained(
    'A line that begins with `--!` has an unknown key, a key twice, or a value that the key does not take.',
    'The header decides the phase, the transaction and the backfill of a file. A header that is only partly understood could run the file in the wrong way.',
    'Correct the line. docs/files.md lists the keys of each kind of file.',
  ),
  EMPTY_FILE: explained(
    'A migration has no statement: it is empty, or everything in it is a comment.',
    'It would be recorded as applied although it did nothing.',
    'Write the SQL, or delete the file.',
  ),
  NOT_UTF8: explained(
    'A file is not encoded in UTF-8.',
    'Text outside ASCII would reach the database as other characters.',
    'Convert the file with iconv from the encoding that your editor used.',
  ),
  FILE_TOO_LARGE: explained(
    'A file of SQL has more characters than are read of one file.',
    'Before a file runs, each of its statements is parsed: for its locks, and for what it would delete. The tree of a larger file would take gigabytes of memory.',
    'Divide the file into several migrations. Rows of data are better loaded with COPY, by psql.',
  ),
  BAD_TRACK_INFO: explained(
    'The file track.json of a track is missing a part, or has one of the wrong type.',
    'It says which tables hold sessions and messages, what the track requires and which settings it has.',
    'Correct the part that the message names. docs/files.md describes the file.',
  ),
  BAD_EXPECTED: explained(
    'The file expected.json of a track cannot be read.',
    'The shared checks compare columns, indexes, policies and grants with it. Without it they would check nothing.',
    'Correct the part that the message names. docs/files.md describes the file.',
  ),
  BAD_SETTING: explained(
    'A setting of the configuration is unknown to the track, or has a value that the track does not take.',
    'Settings decide how old messages are grouped and where messages without a workspace go. A misspelled setting would silently be the default.',
    'Use one of the values in the message, or remove the setting from rethread.config.json.',
  ),
  NO_TRACK_INFO: explained(
    'A track has no track.json.',
    'Its migrations run, but commands that work with sessions and messages do not know its tables.',
    'Write migrations/<track>/track.json. docs/files.md describes it.',
  ),
  FILE_EXISTS: explained(
    'A file that would be written is already there.',
    'rethread never overwrites a file of yours. Nothing was written.',
    'Move the file away, or name another folder with --dir.',
  ),
  SEEN: explained(
    'The new migration, its rollback and its check were found by discovery.',
    'The names are right, so `plan` will show the migration.',
    'Write the SQL, then run rethread plan.',
  ),
  COPIED: explained(
    'A track was written into your repository with the names and types of your database.',
    'The files are yours from now on: they are read instead of the shipped track.',
    'Read the files, then run rethread doctor and rethread plan.',
  ),
  DROP_BEFORE_CREATE: explained(
    'A file drops a table that only a later file creates.',
    'At that point the name means another table, or none. Dropping it would destroy a table that you did not mean.',
    'Give the drop a higher number than the file that creates the table.',
  ),
  WITH_READS_TABLE: explained(
    'A backfill reads the table that it walks in its WITH clause as well.',
    'The engine limits the top level of the statement to a batch, not the WITH clause. It reads the whole table in each batch, which takes long and may see what earlier batches wrote.',
    'Read the table at the top level only. Use LATERAL or EXISTS for what belongs to a row.',
  ),
  SWALLOWED_EXCEPTION: explained(
    'A block catches every exception and continues.',
    'A failure inside the block would be recorded as success.',
    'Catch the one exception that you expect, for example `when duplicate_object`.',
  ),
  DEFINER_WITHOUT_SEARCH_PATH: explained(
    'A SECURITY DEFINER function does not set its search_path, or sets one that does not end with `pg_temp`.',
    'The function runs with the rights of its owner and finds tables, types and functions by its search_path. Whoever can create an object in a schema of it can have code run with those rights. The temporary schema of the caller is searched first for tables and types unless it is named, also where the path is empty: a temporary domain called `uuid` would be used for `uuid`, and its CHECK would run as the owner.',
    'Add `set search_path = pg_catalog, pg_temp` to the function and write every other name with its schema.',
  ),
  POLICY_WITHOUT_TO: explained(
    'A policy has no TO clause.',
    'It applies to every role, also to the role of visitors who are not logged in.',
    'Add the role that the policy is for, for example `to authenticated`.',
  ),
  POLICY_WITHOUT_CHECK: explained(
    'A policy for INSERT, UPDATE or ALL has no WITH CHECK clause where it needs one.',
    'A user could write a row that belongs to another user or tenant.',
    'Add WITH CHECK with the same condition as USING.',
  ),
  BULK_WRITE: explained(
    'A migration updates or deletes many rows of a table in one transaction.',
    'The rows stay locked until the end, replicas fall behind, and a failure at the end undoes all of it.',
    'Turn the statement into a backfill file. docs/backfill.md shows how.',
  ),
  RLS_BEFORE_POLICIES: explained(
    'A file enables row level security on a table before the table has a policy.',
    'Until a policy exists, users of the table see no rows and can write none.',
    'Create the policies first, in the same transaction.',
  ),
  CASCADING_DROP: explained(
    'A file drops something with CASCADE.',
    'The server then drops whatever depends on it, including objects that nobody wrote into the file.',
    'Drop the dependent objects by name. The server refuses the rest, and you learn of it before anything is gone.',
  ),
  ENUM_VALUE_TOO_EARLY: explained(
    'A file adds a value to an enum and uses it in the same transaction.',
    'PostgreSQL refuses that with error 55P04, so the file would fail.',
    'Use the value in the next file, or use a text column with a CHECK constraint.',
  ),
  SQUAWK: explained(
    'The linter squawk, which you have installed, reports a rule about a statement.',
    'Its rules are about locks and about schema habits. They do not stop a run.',
    'Follow the advice, or excuse the statement with a comment that gives the reason: `-- allow SQUAWK: <reason>`.',
  ),
  BYTE_ORDER_MARK: explained(
    'A file begins with a byte order mark.',
    'psql sends the mark to the server, which refuses the first statement. The file must also run in psql.',
    'Remove the mark with the command in the message.',
  ),
  CR_IN_BODY: explained(
    'The body of a function has carriage returns.',
    'The server stores them, so the same function from another machine would be reported as drift.',
    'Save the file with line ends of one character, and add `*.sql text eol=lf` to .gitattributes.',
  ),
  PSQL_META_COMMAND: explained(
    'A line begins with a backslash: it is a command of psql, not SQL.',
    'rethread sends SQL to the server itself. The line would be a syntax error.',
    'Remove the line. Put included files into the folder as migrations of their own.',
  ),
  SYNTAX: explained(
    "PostgreSQL's parser does not accept a statement.",
    'The server would refuse it in the middle of a run. It is found before anything runs.',
    'Correct the statement at the marked position.',
  ),
  TRANSACTION_CONTROL: explained(
    'A file has BEGIN, COMMIT, ROLLBACK or a similar statement.',
    'Each file runs in a transaction of rethread together with its row in the ledger. A COMMIT inside would leave half of the file behind when the rest fails.',
    'Remove the statement. A file whose statements must run alone has the header `--! transaction: none`.',
  ),
  UNPROVABLE_STATEMENT: explained(
    'A statement that runs outside of a transaction leaves nothing in the catalog that shows that it ran.',
    'If the run stops after it, the next run could not know whether to run it again.',
    'Move it to a file that runs in one transaction.',
  ),
  NEEDS_NO_TRANSACTION: explained(
    'A statement cannot run inside of a transaction, and its file runs in one.',
    'The server would refuse it.',
    'Put the statement into a file of its own with the header `--! transaction: none`.',
  ),
  NAME_TOO_LONG: explained(
    'A name has more than 63 bytes.',
    'PostgreSQL cuts it without an error. Two long names can become the same, and the object is not found by its full name.',
    'Choose a shorter name.',
  ),
  BAD_BACKFILL: explained(
    'A backfill file does not have the form that the engine can divide into batches.',
    'A backfill is one plain statement with a header that names the table and the pending rows. Anything else could miss rows.',
    'Correct what the message names. docs/backfill.md shows the form.',
  ),
  MISSING_ROLLBACK: explained(
    'A migration has no file in rollbacks/.',
    'It could not be undone.',
    'Write the rollback, or say in the header that another migration undoes it (`undone-by`) or why it cannot be undone (`irreversible`).',
  ),
  EMPTY_ROLLBACK: explained(
    'A rollback file has no statement.',
    'It would be recorded as a rollback although nothing was undone.',
    'Write the SQL, or delete the file and give the reason in the header of the migration: `--! irreversible: <reason>`.',
  ),
  ORPHAN_ROLLBACK: explained(
    'A file in rollbacks/ has no migration of the same name.',
    'It would never run. Probably a migration was renamed and its rollback was not.',
    'Rename it like its migration, or delete it.',
  ),
  MISSING_VERIFY: explained(
    'A track has no check of its own.',
    'After a run, nothing would show that the data is right.',
    'Add at least one SQL file to verify/<track>/ that returns a row for each thing that is wrong.',
  ),
  PHASE_ORDER: explained(
    'A file of an earlier phase has a higher number than a file of a later phase.',
    'Phases run in the order expand, backfill, contract. The application can rely on that only if the numbers agree.',
    'Number the files in the order of their phases.',
  ),
  UNKNOWN_REFERENCE: explained(
    'A header names a migration that the track does not have.',
    'A gate or an order that depends on it would never apply.',
    'Use the file name of a migration without .sql.',
  ),
  BAD_CONFIG: explained(
    'rethread.config.json cannot be read, or a setting in it is unknown or has a wrong value.',
    'A setting that is ignored without a word could lock longer or skip a guard.',
    'Correct the setting that the message names. docs/operating.md lists them all.',
  ),
} satisfies Explanations
