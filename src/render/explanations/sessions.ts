import { type Explanations, explained } from './explained.js'

/** Findings about single sessions. */
export const sessionExplanations = {
  NO_SESSIONS_TABLE: explained(
    'The table for sessions does not exist in this database.',
    'Commands that list, export or prune sessions have nothing to read.',
    'Run rethread migrate first.',
  ),
  NO_SUCH_SESSION: explained(
    'No session has this id, and no archive holds one with it.',
    'Nothing was shown or written.',
    'List the sessions with rethread sessions list and copy the id from there.',
  ),
  NO_SESSION_HAS: explained(
    'A filter asked for a value that no session has.',
    'The list is empty for that reason alone: the value may be misspelt.',
    'Compare the value with those that rethread sessions list shows.',
  ),
  NO_SESSION_FOUND: explained(
    'The filters, --since and --search together leave no session.',
    'Some sessions are left out by default, such as those that are marked as deleted.',
    'Ask for fewer things at once, or add --with-deleted.',
  ),
  SESSIONS_HIDDEN: explained(
    'The role of the connection is subject to row level security, or may not read the table.',
    'The list and the count have only the rows that this role may see.',
    'Connect as the owner of the table or as a role with BYPASSRLS to see all of them.',
  ),
  SEARCH_SCANS: explained(
    'The planner reads every message for this search, because no index leads to a text within a text.',
    'On a large table that takes long and reads much from the disk. The search is stopped after --within seconds.',
    'Make a trigram index as the message shows, or narrow the search with --since or a filter.',
  ),
  SEARCH_TOO_SLOW: explained(
    'A search took longer than --within allows, and was stopped.',
    'Nothing is known of the messages that it had not read.',
    'Narrow the search, give it more time, or make a trigram index.',
  ),
  SESSION_TOO_LARGE: explained(
    'The rows of one session have more text than a file of a session may have.',
    'Nothing was exported: a file that cannot be imported would be no copy.',
    'Copy the rows with COPY in psql.',
  ),
  BAD_SESSION_FILE: explained(
    'A file is not a session as sessions export writes it, or one of its values cannot be read as its column.',
    'Nothing was changed. The message has the path to the value.',
    'Export the session again, or correct the value.',
  ),
  SESSION_FROM_ELSEWHERE: explained(
    'The rows were exported from another track, or from tables with other columns.',
    'A row that is put back without one of its columns is not the row that was exported. Nothing was changed.',
    'Import the file into a database with the same track at the same version.',
  ),
  SESSION_EXISTS: explained(
    'The session, or rows of it, are in the database with other values than in the file.',
    'An import never writes over what is there. Nothing was changed.',
    'Export what is there, delete it, then import the file.',
  ),
  SESSION_NOT_PUT: explained(
    'A row of the session needs another row that is not there, such as its owner, or breaks a constraint.',
    'An import is one transaction: nothing was changed.',
    'Create the row that the message names, then run the same command again.',
  ),
  SESSION_THERE: explained(
    'The session is in its table with all the rows that it should have.',
    'There was nothing to do.',
    'Nothing.',
  ),
  SESSION_PUT: explained(
    'A session was put back with its rows, in one transaction.',
    'Values that the track derives from other rows, such as counts, are those of today.',
    'Nothing.',
  ),
} satisfies Explanations
