# What AWS's runtime shows functions under these names: the handler that is called, its context, and how events and answers are read.

# `file.method`, or `file.Module::Class.method`.
class LambdaHandler
  attr_reader :handler_file_name, :handler_method_name

  def initialize(env_handler:)
    parts = env_handler.split(".")
    unless [2, 3].include?(parts.size)
      raise ArgumentError, "Invalid handler #{parts}, must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD where FILENAME corresponds with " \
                           "an existing Ruby source file FILENAME.rb, CLASS is an optional module/class namespace and METHOD is a callable " \
                           "method. If using CLASS, METHOD must be a class-level method."
    end
    @handler_file_name, *@names, @handler_method_name = parts
  end

  # A method of no class is one that every object has, as a private one.
  def call_handler(request:, context:)
    receiver = @names.empty? ? self : Kernel.const_get(@names.first)
    AwsLambda::Marshaller.marshall_response(receiver.__send__(@handler_method_name, event: request, context: context))
  end
end

class LambdaContext
  attr_reader :aws_request_id, :invoked_function_arn, :log_group_name, :log_stream_name, :function_name, :memory_limit_in_mb,
              :function_version, :identity, :client_context, :deadline_ms, :tenant_id

  def initialize(request)
    @deadline_ms = request["Lambda-Runtime-Deadline-Ms"].to_i
    @aws_request_id = request["Lambda-Runtime-Aws-Request-Id"]
    @invoked_function_arn = request["Lambda-Runtime-Invoked-Function-Arn"]
    @log_group_name = ENV["AWS_LAMBDA_LOG_GROUP_NAME"]
    @log_stream_name = ENV["AWS_LAMBDA_LOG_STREAM_NAME"]
    @function_name = ENV["AWS_LAMBDA_FUNCTION_NAME"]
    @memory_limit_in_mb = ENV["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
    @function_version = ENV["AWS_LAMBDA_FUNCTION_VERSION"]
    @identity = parsed(request["Lambda-Runtime-Cognito-Identity"])
    @client_context = parsed(request["Lambda-Runtime-Client-Context"])
    @tenant_id = request["Lambda-Runtime-Aws-Tenant-Id"]
  end

  def get_remaining_time_in_millis
    [@deadline_ms - Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond), 0].max
  end

  private

  def parsed(text)
    JSON.parse(text) unless text.to_s.empty?
  end
end

module AwsLambda
  # Functions may replace either method.
  class Marshaller
    class << self
      def marshall_request(raw_request)
        raw_request["Content-Type"] == "application/json" ? JSON.parse(raw_request.body) : raw_request.body
      end

      # With a content type: something to be read, whose bytes are the answer as they are.
      def marshall_response(method_response)
        case method_response
        when StringIO, IO then [method_response, "application/unknown"]
        else method_response.to_json
        end
      end
    end
  end
end

module Lambent
  # An invocation as the Runtime API has it, for a Marshaller of the function's own.
  class RawRequest
    HEADERS = {
      "lambda-runtime-aws-request-id" => "requestId",
      "lambda-runtime-deadline-ms" => "deadlineMs",
      "lambda-runtime-invoked-function-arn" => "invokedArn",
      "lambda-runtime-trace-id" => "traceHeader",
      "lambda-runtime-client-context" => "clientContext",
      "lambda-runtime-cognito-identity" => "cognitoIdentity",
      "lambda-runtime-aws-tenant-id" => "tenantId"
    }.freeze

    attr_reader :body

    def initialize(head, body)
      @head = head
      @body = body
    end

    def [](name)
      return "application/json" if name.downcase == "content-type"

      @head[HEADERS[name.downcase]]&.to_s
    end
  end
end
