// The step of action.yml that shows the report in the pull request: one comment, which later runs update.
// Where it may not be written the step says so and passes: the report is on the job's page too.
import { randomUUID } from 'node:crypto'
import { appendFileSync, readFileSync } from 'node:fs'

const { env } = process
/** Characters that GitHub takes in one comment, less room for what is added below. */
const longest = 65_000
/** Comments that GitHub lists at once. */
const pageSize = 100

const event = env.GITHUB_EVENT_PATH ? JSON.parse(readFileSync(env.GITHUB_EVENT_PATH, 'utf8')) : {}
const number = event.pull_request?.number ?? (event.issue?.pull_request ? event.issue.number : null)
const key = ['COMMAND', 'TRACK', 'WORKING_DIRECTORY'].map(name => env[`RETHREAD_INPUT_${name}`] ?? '')
// no key can end the comment that holds it
const marker = `<!-- rethread ${Buffer.from(key.join('\n')).toString('base64url')} -->`

/** GitHub does not take the comment. */
class Refusal extends Error {
  constructor(status, said) {
    super(
      [401, 403, 404].includes(status)
        ? `The comment was not written: the token may not do it (HTTP ${status}). Give the job the permission "pull-requests: write"; the token of a pull request from a fork never has it.`
        : `The comment was not written: ${status === 0 ? said : `HTTP ${status}`}.`,
    )
  }
}

if (number === null) say('notice', 'This event has no pull request: the report is on the page of the job.')
else await comment()

/** Updates the comment of an earlier run, or adds one. */
async function comment() {
  const issues = `/repos/${env.GITHUB_REPOSITORY}/issues`
  const body = JSON.stringify({ body: bodyOf(readFileSync(env.RETHREAD_MARKDOWN, 'utf8')) })
  try {
    const former = await findComment(`${issues}/${number}/comments`)
    const written = former
      ? await ask('PATCH', `${issues}/comments/${former}`, body)
      : await ask('POST', `${issues}/${number}/comments`, body)
    if (env.GITHUB_OUTPUT) appendOutput('comment-url', written.html_url)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    say('warning', error.message)
    if (env.GITHUB_STEP_SUMMARY) appendFileSync(env.GITHUB_STEP_SUMMARY, `\n> ${error.message}\n`)
  }
}

/** The id of the comment with our marker; null where there is none. */
async function findComment(path) {
  for (let page = 1; ; page++) {
    const found = await ask('GET', `${path}?per_page=${pageSize}&page=${page}`)
    const ours = found.find(c => c.body?.startsWith(marker))
    if (ours) return ours.id
    if (found.length < pageSize) return null
  }
}

/** The text: the marker, the report as far as it fits, and where it comes from. */
function bodyOf(report) {
  const run = `${env.GITHUB_SERVER_URL}/${env.GITHUB_REPOSITORY}/actions/runs/${env.GITHUB_RUN_ID}`
  const sha = event.pull_request?.head?.sha ?? env.GITHUB_SHA ?? ''
  const source = `<sub>[This run](${run}) of commit ${sha.slice(0, 12)} updates this comment.</sub>`
  let text = report.trimEnd()
  if (text.length > longest) {
    // the SQL of each step is folded in a block of its own
    text = text.replace(/^<details>[\s\S]*?^<\/details>\n*/gm, '')
    if (text.length > longest) text = text.slice(0, text.lastIndexOf('\n', longest))
    // a block of code that was cut in two would take in what follows
    if ((text.match(/^ *```/gm) ?? []).length % 2 === 1) text += '\n```'
    text += '\n\nThe report is longer than a comment may be: the page of the job has the rest.'
  }
  return `${marker}\n${text}\n\n${source}\n`
}

/** Sends a request. Throws Refusal where the answer is none that helps; a server's fault is tried again. */
async function ask(method, path, body) {
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(`${env.GITHUB_API_URL}${path}`, {
      method,
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${env.GITHUB_TOKEN}`,
        'content-type': 'application/json',
        'user-agent': 'rethread',
      },
      ...(body ? { body } : {}),
      signal: AbortSignal.timeout(20_000),
    }).catch(error => ({ ok: false, status: 0, text: async () => String(error.cause ?? error) }))
    if (answer.ok) return answer.json()
    if ((answer.status === 0 || answer.status >= 500) && attempt < 3) {
      await new Promise(done => setTimeout(done, attempt * 500))
      continue
    }
    throw new Refusal(answer.status, (await answer.text()).slice(0, 300))
  }
}

/** Shows a line as an annotation of the job. */
function say(level, text) {
  console.log(`::${level} title=rethread::${text.replaceAll('%', '%25').replaceAll('\n', '%0A')}`)
}

function appendOutput(name, value) {
  const end = randomUUID()
  appendFileSync(env.GITHUB_OUTPUT, `${name}<<${end}\n${value}\n${end}\n`)
}
