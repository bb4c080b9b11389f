// Prints how many tests passed and failed, from what vitest wrote where CI is set. The last line of .ci/run.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './root.mjs'

const results = JSON.parse(readFileSync(join(root, '.rethread/test-results.json'), 'utf8'))
// a file that could not be loaded has no tests, and counts as one that failed
const broken = results.testResults.filter(f => f.status === 'failed' && f.assertionResults.length === 0)
console.log(`${results.numPassedTests} passed, ${results.numFailedTests + broken.length} failed`)
