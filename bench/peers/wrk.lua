-- wrk's side of a load: sends the request in the file args[1], with an id of its own for each
-- sending in the place of args[2]; the ids begin with args[3]. In the end it tells the counts.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local text = file:read("*a")
  file:close()
  local from, to = text:find(args[2], 1, true)
  if from then
    head, tail = text:sub(1, from - 1) .. args[3], text:sub(to + 1)
  else
    head, tail = text, nil
  end
  sent = 0
end

function request()
  if not tail then
    return head
  end
  sent = sent + 1
  return head .. string.format("%02d%010d", number, sent) .. tail
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"answered": %d, "seconds": %.6f, "failed": %d, "p50": %.3f, "p99": %.3f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
