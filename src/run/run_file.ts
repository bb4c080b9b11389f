import type { Transaction } from '../model/foreign.js'
import { type Executed, type FileStep, runStatements } from './execute_file.js'
import { runParts } from './execute_parts.js'
import { runTransaction } from './execute_transaction.js'
import type { Run } from './run.js'

/** Runs a file in one transaction, in parts, or each statement alone. */
export const runFile = (run: Run, step: FileStep, transaction: Transaction): Promise<Executed> =>
  transaction === 'none'
    ? runStatements(run, step)
    : transaction === 'one'
      ? runTransaction(run, step)
      : runParts(run, step, transaction)
