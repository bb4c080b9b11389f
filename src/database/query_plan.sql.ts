import type { Db } from './types.js'

/** A node of a plan, with the fields of EXPLAIN that are used. All but the first three may be missing. */
export interface PlanNode {
  'Node Type': string
  'Total Cost': number
  'Plan Rows': number
  Schema?: string
  'Relation Name'?: string
  Alias?: string
  Filter?: string
  Plans?: PlanNode[]
}

/**
 * The plan of a query for the current role, with these parameters. The query is not run. `verbose` adds
 * schemas.
 */
export async function queryPlan(
  sql: Db,
  query: string,
  { args = [], verbose = false }: { args?: string[]; verbose?: boolean } = {},
): Promise<PlanNode> {
  const [row] = await sql.unsafe<{ 'QUERY PLAN': [{ Plan: PlanNode }] }[]>(
    `explain (format json${verbose ? ', verbose' : ''}) ${query}`,
    args,
  )
  return row!['QUERY PLAN'][0].Plan
}

/** A node and all nodes below it. */
export const planNodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(planNodes)]
