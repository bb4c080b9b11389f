import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'

/** A browser of this machine, where there is one. */
export const browserPath: string | undefined = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  process.env.CHROME_BIN ?? '',
].find(path => path !== '' && existsSync(path))

const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

/** What axe finds wrong with a page, but in what a selector leaves out. */
export async function axeViolations(page: Page, exclude: string[] = []): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = (await page.evaluate(`axe.run({ exclude: ${JSON.stringify(exclude)} })`)) as {
    violations: { id: string; nodes: object[] }[]
  }
  return violations.map(v => `${v.id}: ${JSON.stringify(v.nodes[0])}`)
}
