import { type Explanations, explained } from './explained.js'

/** Findings about the server, the role and what is in the database. */
export const targetExplanations = {
  NO_DATABASE_URL: explained(
    'No database was named.',
    'Nothing ran.',
    'Set DATABASE_URL, or give --database-url. `--embedded` uses a PostgreSQL of its own.',
  ),
  BAD_URL: explained(
    'The database URL cannot be read.',
    'Nothing was sent to any server.',
    'Write it as postgres://user:password@host:5432/database, with `@`, `:` and `/` in the password encoded as %40, %3A and %2F.',
  ),
  NO_SERVER: explained(
    'No PostgreSQL server answered at the address.',
    'Nothing ran. The reason says whether the name, the network or the server is at fault.',
    'Check host and port, that the server is running, and that a firewall lets this machine in.',
  ),
  SESSION_CUT_OFF: explained(
    'A setting gives sessions of this role so little time that the server ended the first statement of one.',
    'Nothing ran. Later statements would not be cut off: rethread sets its own limits, for its sessions only.',
    'Give the role a second, with the statement in the message. What it replaces: select * from pg_db_role_setting.',
  ),
  TLS_FAILED: explained(
    'An encrypted connection was demanded and could not be made.',
    'The connection was not made without encryption instead.',
    'Check sslmode and sslrootcert in the URL. With verify-full the host must be the name in the certificate.',
  ),
  WRONG_PASSWORD: explained(
    'The server refused the login.',
    'Nothing ran.',
    'Check user and password, and that special characters in the password are encoded.',
  ),
  NO_SUCH_DATABASE: explained(
    'The server has no database of this name.',
    'Nothing ran.',
    'Correct the name at the end of the URL.',
  ),
  CONNECTION_LOST: explained(
    'The connection to the server broke while a command was running.',
    'What had been committed is kept. The current step or batch was rolled back by the server.',
    'Run the same command again. It continues from the last checkpoint.',
  ),
  OUT_OF_RESOURCES: explained(
    'The server has run out of disk space, memory or connections.',
    'What had been committed is kept. The current step or batch was rolled back.',
    'Free what the server lacks, then run the same command again. It continues from the last checkpoint.',
  ),
  SERVER_TOO_OLD: explained(
    'The server is older than the oldest version that rethread supports.',
    'Statements that it needs do not exist there.',
    'Upgrade the server.',
  ),
  SERVER_UNTESTED: explained(
    'The version of the server is not among those that rethread is tested with.',
    'It probably works. Nobody has proved it.',
    'Try the migration on a copy first.',
  ),
  READ_ONLY_SERVER: explained(
    'The server does not accept writes: it is a standby, or it is set to read-only.',
    'A migration is not possible there. A run during which this begins ends; what is finished is kept.',
    'Connect to the primary server, then run the same command again.',
  ),
  TRANSACTION_POOLER: explained(
    'The address is a connection pooler in transaction or statement mode.',
    'Settings and locks of a session would land on the connections of the application. Nothing was set or changed.',
    'Use the direct connection or a session pooler. On Supabase this is port 5432 instead of 6543.',
  ),
  POOL_USED_UP: explained(
    'The pooler has fewer connections than a run needs.',
    'The run would wait for itself.',
    'Raise the pool size to 6, or use the direct connection.',
  ),
  FOREIGN_OBJECT: explained(
    'A schema, table or function that rethread uses belongs to another role, or another role may change it.',
    'Code that this role puts there would run with the rights of the role that runs rethread. Every command refuses until it is fixed.',
    'Find out who made it. Take the object over or revoke the grants with the SQL in the message.',
  ),
  RUNS_AS_SUPERUSER: explained(
    'rethread is connected as a superuser, and a role with fewer rights would be enough.',
    'A mistake, or code that others put on the tables, could do more harm than needed.',
    'Create the role with the SQL in the message and connect as that role.',
  ),
  MISSING_PRIVILEGE: explained(
    'The role that runs rethread lacks a privilege that a step needs.',
    'The step would fail in the middle. It is refused before the first step.',
    'Run the GRANT in the message as an administrator, or connect as the owner of the tables.',
  ),
  ROWS_HIDDEN: explained(
    'Row level security hides rows of a table from the role that runs rethread.',
    'A backfill would miss messages, and a check would not see them.',
    'Connect as the owner of the table, or give the role BYPASSRLS.',
  ),
  MISSING_PREREQUISITE: explained(
    'A table, column, function or role that the track needs does not exist.',
    'A step would fail. It is refused before the first step.',
    'Create it with the SQL in the message where there is one. If your names are different, run rethread init.',
  ),
  WRONG_TYPE: explained(
    'A column has another type than the files of the track expect.',
    'A step would fail, or convert values in a way that nobody asked for.',
    'Run rethread init: it writes the track with your types, or says why it cannot.',
  ),
  NAME_TAKEN: explained(
    'An index, constraint, policy or function that a file would create already exists under that name.',
    'The step would fail, or take the other object for its own.',
    'Rename the existing object with the statement in the message, or drop it if nobody uses it.',
  ),
  NO_REPLICA_IDENTITY: explained(
    'A published table has no replica identity, or one that does not fit its publication.',
    'PostgreSQL refuses every UPDATE and DELETE of such a table, so a backfill could not run.',
    'Give the table a primary key or set its replica identity with the statement in the message.',
  ),
  ROWS_VIOLATE: explained(
    'Rows violate a constraint that was added without validation, and the migration must update these rows.',
    'PostgreSQL checks the constraint at every update, so these rows would fail.',
    'Correct the rows, then validate the constraint.',
  ),
  ROWS_NOT_LOOKED_AT: explained(
    'It is not known whether rows violate a constraint that was never validated.',
    'Some rows may fail in the backfill. They would be reported and kept.',
    'Validate the constraint to be sure before the run.',
  ),
  PARTITIONED_TABLE: explained(
    'A table is partitioned, and a statement of the migration does not work on partitioned tables.',
    'The step would fail. It is refused before the first step.',
    'Copy the track with rethread init and write the statement for each partition.',
  ),
  INHERITED_TABLE: explained(
    'Other tables inherit from a table that the migration changes.',
    'A new column would appear in them as well, and a rollback could not keep its values there.',
    'End the inheritance with the statement in the message if it is no longer used.',
  ),
  DISTRIBUTED_TABLE: explained(
    'The extension Citus keeps the rows of a table that the migration changes on other servers.',
    'A backfill walks the pages of a table, and there are none here. Keys and triggers of the files would be refused, or not be checked.',
    'Copy the track with rethread init and change what the message lists, or migrate before the table is distributed.',
  ),
  COLUMNS_USED_UP: explained(
    'A table has had so many columns that PostgreSQL gives it no more.',
    'Columns that were dropped count for ever against the limit of 1,600. The step would fail.',
    'Copy the rows into a new table with the same columns and give it the old name.',
  ),
  UNFIT_TABLE: explained(
    'A table is not one of its own: a view, a foreign table, a table of a type, a partition of another table, or one that a subscription writes.',
    'The server would refuse what the file does to it, or the rows would not follow. The old application could fail from then on.',
    'Follow the message: migrate where the rows are written, or make it a table of its own.',
  ),
  GENERATED_COLUMN: explained(
    'The server computes a column that the files, or the functions that they make, write.',
    'Every such statement would fail, so the old application would not see what the new one writes.',
    'Let the application write the column, or copy the track with rethread init for the column that it is computed from.',
  ),
  REWRITTEN_BY_RULE: explained(
    'A rule of a table rewrites the statements of the migration.',
    'They would do something else than what the file says, or be refused.',
    'Replace the rule by a trigger.',
  ),
  COUNTS_COLUMNS: explained(
    'A function of the application works only with the columns that a table has now.',
    'The migration adds a column. From then on the statement of the application would fail.',
    'Name the columns in the function, for example in an INSERT that copies a whole row.',
  ),
  EVENT_TRIGGER_RAISES: explained(
    'An event trigger of the database refuses a statement of the migration.',
    'The step would fail. It was tried on empty copies of the tables.',
    'Disable the event trigger during the migration, with the consent of whoever made it.',
  ),
  WOULD_FAIL: explained(
    'A file was executed on empty copies of the tables and failed.',
    'It would fail in the same way on the real tables.',
    'Change the table so that it fits, or adapt the file in a copy of the track.',
  ),
  NOT_TRIED: explained(
    'A statement needs what another one makes, and that one was not run on the empty copies.',
    'Whether it would fail is not known, so the plan is not clean. A failing step leaves no trace.',
    'Write the statement out instead of putting it together as text, or rehearse on a copy with --rehearse-url.',
  ),
  NOT_REHEARSED: explained(
    'The files could not be tried on empty copies of the tables.',
    'A fault in them shows only when they run. A failing step leaves no trace.',
    'Remove the reason in the message, or rehearse on a copy with --rehearse-url.',
  ),
  ALREADY_EXISTS: explained(
    'Something that the migration would create already exists.',
    'Perhaps the same SQL ran by hand before, or the name means something else here.',
    'Choose one of the three ways in the message: baseline, adopt, or rename.',
  ),
  VISIBILITY_UNKNOWN: explained(
    'Who will see which rows after a step could not be predicted.',
    'Somebody could lose sight of rows, or see more than before, without the report saying so.',
    'Run the steps before it first, or predict on a copy with --visibility --rehearse-url.',
  ),
  SAME_VISIBILITY: explained(
    'No pending step changes policies, row level security, grants or roles of an existing table.',
    'Everybody will see the rows that they see now.',
    'Nothing.',
  ),
  BASELINE_UNPROVEN: explained(
    'A migration cannot be recorded as applied, because the catalog does not show what it makes.',
    'The ledger would say that something is there which is not.',
    'Take over the migrations before it and run the rest, or use --adopt with --fix-up.',
  ),
  ADOPT_DIFFERS: explained(
    'The database was compared with what the files make, and they differ.',
    'Recording it as applied would hide the difference. Nothing was changed.',
    'Write the SQL in between with --fix-up, read it, run it, and adopt again.',
  ),
  ADOPT_CHOICE: explained(
    'A difference cannot be removed without a decision of yours.',
    'Any choice of rethread could lose data.',
    'Decide with the statement in the message.',
  ),
  ADOPT_LOST_TABLE: explained(
    'The table from which the track starts does not exist any more.',
    'The old data was renamed or has been moved already.',
    'Follow the message: rename the table back, or create an empty one.',
  ),
  ADOPT_BESIDE: explained(
    'The tables of the track have objects that its files do not make.',
    'They stay as they are.',
    'Nothing.',
  ),
  ADOPT_NOT_COMPARED: explained(
    'Some statements could not be executed on empty copies, so what they make was not compared.',
    'A difference there would not be noticed.',
    'Compare these objects by hand.',
  ),
  ADOPT_NOTHING: explained(
    'Nothing of the track exists in the database.',
    'There is nothing to adopt.',
    'Start from the beginning with rethread plan.',
  ),
  ANOTHER_RUN: explained(
    'Another run of rethread holds the lease of this database.',
    'Only one run may write at a time. This one changed nothing.',
    'Wait, or give more time with --lock-wait. rethread status shows the run.',
  ),
  TRACK_UNCLEAR: explained(
    'rethread cannot decide which track is meant.',
    'The wrong track would change the wrong tables. Nothing was changed.',
    'Name it with --track.',
  ),
  OTHER_TRACK: explained(
    'The track that was named does not fit this database, and another does.',
    'Its steps would be refused.',
    'Use the track in the message, if the database is the right one.',
  ),
  NEAREST_TRACK: explained(
    'No track fits as it is. The message names the one that comes closest and what differs.',
    'Most often only names or types differ, and init can write the track for them.',
    'Run the init command in the message.',
  ),
  SESSIONS_ALREADY: explained(
    'The table that a track would take for workspaces belongs to one person in each row. Messages have no author but its owner, or the table is called what sessions are called.',
    'Sessions are probably there under another name. A migration would put one more table between them and their messages.',
    'Leave the database as it is. Go on only if a row holds all that several people ever wrote; then messages need a column for their author.',
  ),
  QUESTION_AND_ANSWER: explained(
    'The table that a track would take for messages has a column for what a person said and another one for the answer, and no column says who speaks.',
    'Each row would count as one message, and what is in the other column would be in no list and no export of sessions.',
    'Make a table with one row for each message first, and adapt the track to it.',
  ),
  MAPPING_OPEN: explained(
    'init could not bind every role of the track to a table or column with certainty.',
    'A wrong guess would move the wrong data. Nothing was written.',
    'Answer the questions with --map or --answers, as in the command of the message.',
  ),
  MAPPING_UNUSED: explained(
    'The mapping names columns that the track does not use.',
    'They were left out.',
    'Nothing, unless you meant another column.',
  ),
  WITHOUT_API: explained(
    'The database has no API roles and no row level security, so the track was written without policies.',
    'The roles of the application get the rights on the new tables that they have on the messages table.',
    'Grant further roles what they need after the first step.',
  ),
  GRANTED_IN_PART: explained(
    'A role has a privilege on some columns of the messages only. It gets it on the columns of the new table that mean the same.',
    'Statements of the new application that name other columns of that table fail for this role.',
    'Grant the role more after the first step, where the application needs it.',
  ),
  MAPPING_DIFFERS: explained(
    'The schema has changed since the track was written for it.',
    'The files may name columns or types that no longer exist.',
    'Write the track again into another folder and compare, or change the files in the list.',
  ),
  MAPPING_HOLDS: explained(
    'The track that was written agrees with the database of today.',
    'Nothing has to be written again.',
    'Nothing.',
  ),
  EVENT_TRIGGERS: explained(
    'The database has event triggers that fire at schema changes.',
    'They run as part of each step and can slow it down or refuse it.',
    'Read what they do.',
  ),
  PUBLISHED_TABLE: explained(
    'A table that a backfill writes is part of a publication.',
    'Every row that is updated is sent to the subscribers.',
    'Check that they can take the load, or remove the table from the publication for the time of the run.',
  ),
  FOREIGN_CODE: explained(
    'A table runs functions of roles that are neither its owner nor a superuser.',
    'The statements of rethread run these functions with the rights of its role.',
    'Read the functions. A superuser is asked before they run.',
  ),
  FIRING_TRIGGERS: explained(
    'A backfill updates rows of a table that has triggers of the application.',
    'They would fire for every row: change times, write audit rows, call webhooks.',
    'Hold them off with `"triggers": "hold"` in the configuration, or allow them with --allow FIRES_TRIGGERS.',
  ),
  TRIGGER_NEEDS_PATH: explained(
    'A trigger of the application uses names without a schema and sets no search_path.',
    'When a function of the track writes to the table, it searches only schemas of the default search_path in which no other role may create, and the trigger fails. The failure is caught and noted.',
    'Set the search_path of the function with the statement in the message.',
  ),
  CHANGES_UNKNOWN_ROWS: explained(
    'A statement builds its SQL when it runs, so the table that it changes is not known before.',
    'Some checks before the run could not be made for that table.',
    'Name the table in the text of the file.',
  ),
  ELEMENTS_SET_ASIDE: explained(
    'Some elements of the old message arrays have a shape in which no text was found.',
    'They would be set aside with their original JSON instead of becoming blank messages.',
    'Look at their structure with rethread plan --rehearse. docs/tracks.md lists the shapes.',
  ),
  OUTLOOK: explained(
    'A check of the track that looks at the data before the migration found something worth knowing.',
    'It says what the migration will do with unusual rows.',
    'Decide whether a setting of the track should be different. docs/tracks.md lists them.',
  ),
  BLOCKER_NOW: explained(
    'At this moment a session holds a lock that a step would have to wait for.',
    'The step retries with short timeouts, so the application does not wait behind it.',
    'Nothing, if the session ends soon. Otherwise ask its owner to end it.',
  ),
  SERVER_STRAINED: explained(
    'The server is under load, or a replica is behind.',
    'A backfill slows down or pauses until that is over.',
    'Run it at a quieter time.',
  ),
  INVALID_INDEX: explained(
    'An index is invalid, usually because a concurrent build failed.',
    'It costs time at every write and helps no query.',
    'Drop it with the statement in the message and create it again.',
  ),
  FITS: explained(
    'The database has every table, column and type that the track requires.',
    'The track can be planned as it is.',
    'Run rethread plan.',
  ),
  FITS_AS_COPY: explained(
    'The database has all that the track requires, and a column whose values are of another kind, such as messages that are JSON.',
    'The migration would go through. The probes write rows as the track’s files have them, which the database refuses, so that nobody would have seen who sees which rows.',
    'Run the command in the message. It writes the track into your repository, for the values that your columns have.',
  ),
} satisfies Explanations
