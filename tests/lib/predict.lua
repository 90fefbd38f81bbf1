-- predict.lua - wrk sends the example row, and prints what came back as JSON (lib/load.py reads it)
wrk.method = "POST"
wrk.path = "/predict"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"features": [[8.3252, 41, 6.9841, 1.023810, 322, 2.5556, 37.88, -122.23]]}'

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   expected, wrong, seen = args, 0, {}
   for i = 1, #expected do
      seen[i] = 0
   end
end

-- Every answer is compared with those from before the load, where some were given: it must be one of them, byte by byte.
function response(status, headers, body)
   for i = 1, #expected do
      if body == expected[i] then
         seen[i] = seen[i] + 1
         return
      end
   end
   if #expected > 0 then
      wrong = wrong + 1
   end
end

function done(summary, latency, requests)
   local wrong, seen = 0, {}
   for _, thread in ipairs(threads) do
      wrong = wrong + thread:get("wrong")
      for i, count in ipairs(thread:get("seen")) do
         seen[i] = (seen[i] or 0) + count
      end
   end
   local errors = summary.errors
   io.write(string.format('\n{"requests": %d, "wrong": %d, "status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, "p50_us": %d, "p99_us": %d, "seen": [%s]}\n',
      summary.requests, wrong, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
      latency:percentile(50), latency:percentile(99), table.concat(seen, ", ")))
end
