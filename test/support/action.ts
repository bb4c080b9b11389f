import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parse } from 'yaml'
import { root } from './database.js'

/** One step of a composite action, or of a job. */
interface StepText {
  id?: string
  if?: string
  uses?: string
  run?: string
  shell?: string
  env?: Record<string, string>
  'working-directory'?: string
}

/** What an expression may name: `inputs.phase`, `steps.run.outputs.verdict`. */
type Names = Record<string, string>

/** A comment as the API keeps it. */
interface Comment {
  id: number
  body: string
}

/** The runner that plays GitHub: environment files in a folder, and the API for comments on a port. */
export interface Runner extends AsyncDisposable {
  comments: Comment[]
  /** What was asked of the API, as `POST /path`. */
  asked: string[]
  /** Status with which the API answers all that is asked; null for what is right. */
  refuses: number | null
  /** Runs the action as a step of a job. */
  action(inputs: Record<string, string>, more?: { cwd?: string; event?: object }): Promise<ActionRan>
}

/** What the action came to. */
interface ActionRan {
  /** Exit code of the first step that failed, else 0. */
  code: number
  outputs: Record<string, string>
  /** The page of the job. */
  summary: string
  log: string
}

const readBody = async (request: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

/** Puts values in the place of expressions. Throws for one that the action has no business to use. */
const filled = (text: string, names: Names): string =>
  text.replace(/\$\{\{\s*([\w.-]+)\s*\}\}/g, (whole, name: string) => {
    if (!(name in names)) throw new Error(`unknown expression ${whole}`)
    return names[name]!
  })

/** The value of a condition: names, texts, `==`, `!=`, `&&` and `always()`, as the action uses them. */
function holds(condition: string | undefined, names: Names, failed: boolean): boolean {
  if (condition === undefined) return !failed
  if (failed && !condition.includes('always()')) return false
  return condition.split('&&').every(part => {
    if (part.trim() === 'always()') return true
    const [, name, operator, text] = /^\s*([\w.-]+) (==|!=) '([^']*)'\s*$/.exec(part) ?? []
    if (name === undefined) throw new Error(`unknown condition ${part}`)
    return ((names[name] ?? '') === text) === (operator === '==')
  })
}

/** The outputs that a step has written to its file. */
function outputsIn(file: string): Record<string, string> {
  const lines = readFileSync(file, 'utf8').split('\n')
  const outputs: Record<string, string> = {}
  for (let i = 0; i < lines.length; i++) {
    const [, name, end] = /^([\w-]+)<<(.+)$/.exec(lines[i]!) ?? []
    if (name === undefined) continue
    const value: string[] = []
    while (lines[++i] !== end) value.push(lines[i]!)
    outputs[name] = value.join('\n')
  }
  return outputs
}

/** Runs a script as the runner would: `bash -eo pipefail`; its exit code, and all that it printed. */
export function bash(
  script: string,
  env: Record<string, string>,
  cwd: string,
): Promise<{ code: number; log: string }> {
  const path = process.env.PATH ?? ''
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script], {
    cwd,
    env: { HOME: process.env.HOME ?? '/root', PATH: path, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => {
      log += chunk
    })
  return new Promise(done => child.once('close', code => done({ code: code ?? 130, log })))
}

/** A folder in which this repository is installed as the package `rethread`. */
export function installed(folder: string): string {
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  if (!existsSync(join(folder, 'node_modules/rethread')))
    symlinkSync(root, join(folder, 'node_modules/rethread'))
  return folder
}

/** Starts the runner. */
export async function runner(): Promise<Runner> {
  const temp = mkdtempSync('/tmp/rethread-runner-')
  const state: Pick<Runner, 'comments' | 'asked' | 'refuses'> = { comments: [], asked: [], refuses: null }
  const server = createServer(async (request, response) => {
    const body = await readBody(request)
    state.asked.push(`${request.method} ${request.url}`)
    const send = (status: number, value: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (state.refuses !== null)
      return send(state.refuses, { message: 'Resource not accessible by integration' })
    if (request.headers.authorization !== 'Bearer the-token') return send(401, { message: 'Bad credentials' })
    const [, list, page = '1'] =
      /^(\/repos\/o\/r\/issues\/7\/comments)(?:\?.*page=(\d+))?$/.exec(request.url!) ?? []
    const [, id] = /^\/repos\/o\/r\/issues\/comments\/(\d+)$/.exec(request.url!) ?? []
    const url = (c: Comment) => ({ ...c, html_url: `https://github.com/o/r/pull/7#issuecomment-${c.id}` })
    if (list && request.method === 'GET')
      return send(200, state.comments.slice((Number(page) - 1) * 100, Number(page) * 100).map(url))
    const { body: text } = JSON.parse(body) as { body: string }
    if (text.length > 65_536) return send(422, { message: 'body is too long' })
    if (list && request.method === 'POST') {
      state.comments.push({ id: state.comments.length + 1, body: text })
      return send(201, url(state.comments.at(-1)!))
    }
    const comment = state.comments.find(c => String(c.id) === id)
    if (!comment || request.method !== 'PATCH') return send(404, { message: 'Not Found' })
    comment.body = text
    return send(200, url(comment))
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const action: Runner['action'] = async (inputs, { cwd = temp, event } = {}) => {
    const { inputs: declared, runs, outputs } = parse(readFileSync(join(root, 'action.yml'), 'utf8'))
    const unknown = Object.keys(inputs).filter(name => !(name in declared))
    if (unknown.length > 0) throw new Error(`no such input: ${unknown}`)
    const names: Names = { 'github.token': 'the-token' }
    for (const [name, { default: usual = '' }] of Object.entries<{ default?: string }>(declared))
      names[`inputs.${name}`] = inputs[name] ?? filled(usual, names)
    const place = mkdtempSync(join(temp, 'job-'))
    const file = (name: string, text = '') => {
      writeFileSync(join(place, name), text)
      return join(place, name)
    }
    const summary = file('summary.md')
    const common = {
      GITHUB_ACTIONS: 'true',
      GITHUB_ACTION_PATH: root,
      GITHUB_API_URL: `http://127.0.0.1:${port}`,
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_REPOSITORY: 'o/r',
      GITHUB_RUN_ID: '4711',
      GITHUB_SHA: 'a'.repeat(40),
      GITHUB_EVENT_PATH: file('event.json', JSON.stringify(event ?? {})),
      GITHUB_STEP_SUMMARY: summary,
      RUNNER_TEMP: place,
    }
    let code = 0
    let log = ''
    for (const step of runs.steps as StepText[]) {
      if (!holds(step.if, names, code !== 0)) continue
      if (step.uses) {
        if (!step.uses.startsWith('actions/setup-node@')) throw new Error(`unknown action ${step.uses}`)
        continue
      }
      const output = file(`output-${step.id}`)
      const own = Object.entries(step.env ?? {}).map(([name, text]) => [name, filled(text, names)])
      const env = { ...common, GITHUB_OUTPUT: output, ...Object.fromEntries(own) }
      const at = join(cwd, filled(step['working-directory'] ?? '.', names))
      const ran = await bash(filled(step.run!, names), env, at)
      log += ran.log
      code ||= ran.code
      for (const [name, value] of Object.entries(outputsIn(output)))
        names[`steps.${step.id}.outputs.${name}`] = value
    }
    const given = Object.entries<{ value: string }>(outputs).map(([name, { value }]) => [
      name,
      // the output of a step that did not run is empty
      value.replace(/\$\{\{\s*([\w.-]+)\s*\}\}/g, (_, of: string) => names[of] ?? ''),
    ])
    return { code, log, outputs: Object.fromEntries(given), summary: readFileSync(summary, 'utf8') }
  }
  return Object.assign(state, {
    action,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  })
}
