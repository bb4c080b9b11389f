/** What `rethread explain` says about a code. Each part is one or two whole sentences. */
export interface Explanation {
  /** What has happened, or what the statement would do. */
  means: string
  /** The consequence for the data, the application or the run. */
  matters: string
  /** What the reader should do next. */
  action: string
  /** A statement or situation with this hazard. The example of a finding is made of its own words. */
  example?: string
}
