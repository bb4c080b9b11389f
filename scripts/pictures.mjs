// Makes the pictures of the docs from real runs: `npm run pictures`. It wants a build and a Chromium
// (CHROME_BIN, or where Debian has it).
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import postgres from 'postgres'
import { openProject, render } from '../dist/index.js'
import { root } from './root.mjs'

/** The database of the pictures: the example of a track, with so many messages. */
const track = 'workspace-sessions'
const messages = 20_000
/** The page as the docs show it, in pixels. */
const size = { width: 1000, height: 1700 }

const folder = mkdtempSync(join(tmpdir(), 'rethread-pictures-'))
// as root the server runs as another user, which has to reach its data
chmodSync(folder, 0o755)
const before = process.cwd()
process.chdir(folder)
const server = await openProject({ embedded: true })
try {
  const chat = await example('chat')
  const copy = await example('copy')
  const project = await openProject({ databaseUrl: chat, track })
  const report = await project.plan({ rehearseUrl: copy })
  await picture(await render(report, 'html'), join(root, 'docs/plan.png'))
} finally {
  await server.close()
  process.chdir(before)
  rmSync(folder, { recursive: true, force: true })
}

/** A database with the example of the track; its URL. */
async function example(name) {
  const url = new URL(server.embeddedUrl)
  await send(url, [`create database ${name}`])
  url.pathname = `/${name}`
  const read = path => readFileSync(join(root, 'examples', path), 'utf8')
  await send(url, [
    `set demo.messages = ${messages}; set demo.large = 20000`,
    read('supabase-shim.sql'),
    read(`${track}/before.sql`),
  ])
  return url.toString()
}

async function send(url, texts) {
  const sql = postgres(url.toString(), { max: 1, onnotice: () => {} })
  for (const text of texts) await sql.unsafe(text)
  await sql.end()
}

/** A page as a browser shows its beginning, written to a file. */
async function picture(html, file) {
  const page = join(folder, 'page.html')
  writeFileSync(page, html)
  const executablePath = process.env.CHROME_BIN ?? '/usr/bin/chromium'
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  const context = await browser.newContext({ viewport: size, colorScheme: 'light' })
  const shown = await context.newPage()
  await shown.goto(`file://${page}`)
  await shown.screenshot({ path: file })
  await browser.close()
  process.stdout.write(`${file}\n`)
}
