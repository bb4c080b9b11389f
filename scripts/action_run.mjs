// The step of action.yml that runs rethread: inputs become arguments, and the report becomes outputs.
// It needs nothing but Node: the action is used as it is checked out, without its packages.
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

const { env } = process
const input = name => (env[`RETHREAD_INPUT_${name}`] ?? '').trim()

const command = input('COMMAND') || 'plan'
const format = input('FORMAT') || 'github'
const planFile = input('PLAN_FILE')
const folder = mkdtempSync(join(env.RUNNER_TEMP || tmpdir(), 'rethread-'))
const report = join(folder, 'report.json')
const markdown = join(folder, 'report.md')

const [program, ...before] = findProgram(input('VERSION'))
const { status, error } = spawnSync(program, [...before, ...readArguments()], { stdio: 'inherit' })
if (error) console.log(`::error title=rethread::${program} did not start: ${error.message}`)
const exitCode = error ? 2 : (status ?? 130)
writeOutputs(existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : null)
// the annotations of the format github come with a page of their own
if (format !== 'github' && env.GITHUB_STEP_SUMMARY && existsSync(markdown))
  appendFileSync(env.GITHUB_STEP_SUMMARY, readFileSync(markdown, 'utf8'))
process.exitCode = exitCode

/** The arguments. Flag and value are one word, so that a value is never taken for a flag. */
function readArguments() {
  const flags = {
    '--targets': input('TARGETS'),
    '--track': input('TRACK'),
    '--phase': input('PHASE'),
    '--to': input('TO'),
    '--allow': input('ALLOW'),
    '--confirm': input('CONFIRM'),
    '--reason': input('REASON'),
    '--fail-on': input('FAIL_ON'),
    [command === 'migrate' ? '--plan' : '--out']: planFile,
    '--format': format,
  }
  return [
    command,
    ...Object.entries(flags).flatMap(([flag, value]) => (value === '' ? [] : [`${flag}=${value}`])),
    ...input('ARGUMENTS')
      .split('\n')
      .map(line => line.trim())
      .filter(Boolean),
    `--output=${report}`,
    `--output=${markdown}`,
  ]
}

/** The version that is asked for, else the one that the project has installed, else the newest. */
function findProgram(version) {
  if (version === '') {
    try {
      const manifest = createRequire(resolve('package.json')).resolve('rethread/package.json')
      const { bin } = JSON.parse(readFileSync(manifest, 'utf8'))
      return [process.execPath, join(dirname(manifest), bin.rethread)]
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error
    }
  }
  return ['npx', '--yes', `rethread@${version || 'latest'}`]
}

/** Migrations that are left to do in one database. */
function pendingOf({ findings, steps }) {
  const facts = code => findings.find(f => f.code === code)?.facts
  const open = steps.filter(s => s.outcome !== 'done' && s.direction === 'up').length
  return facts('PENDING')?.count ?? open + (facts('STOPPED_BEFORE')?.left ?? 0)
}

/** Outputs of the step. A report that was not written is that of a command line that could not be read. */
function writeOutputs(written) {
  // of many databases each has a report of its own
  const reports = written?.targets?.flatMap(t => t.report ?? []) ?? (written ? [written] : [])
  const steps = reports.flatMap(r => r.steps)
  const consents = reports.flatMap(r => r.findings).filter(f => f.code === 'CONSENT_NEEDED')
  const pinned = planFile === '' ? '' : resolve(planFile)
  const outputs = {
    verdict: written?.verdict ?? 'failed',
    'exit-code': exitCode,
    // what many plans have in common is one step of the plan
    pending: (written?.steps.length ? [written] : reports).reduce((sum, one) => sum + pendingOf(one), 0),
    hazards: [...new Set(steps.flatMap(s => s.hazards.map(h => h.code)))].join(','),
    allow: [...new Set(consents.flatMap(f => f.facts.allow))].join(','),
    'plan-file': pinned !== '' && existsSync(pinned) ? pinned : '',
    report: written ? report : '',
    markdown: existsSync(markdown) ? markdown : '',
  }
  const lines = Object.entries(outputs).map(([name, value]) => {
    // a value ends at a word that it cannot hold
    const end = randomUUID()
    return `${name}<<${end}\n${value}\n${end}\n`
  })
  if (env.GITHUB_OUTPUT) appendFileSync(env.GITHUB_OUTPUT, lines.join(''))
}
