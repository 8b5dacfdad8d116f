// Outcomes of operations that no test sees through the official client, and why.

interface Excuse {
  readonly reason: string;
  readonly client:
    | "Lambda"
    | "S3"
    | "ECR"
    | "IAM"
    | "SQS"
    | "SNS"
    | "EventBridge"
    | "Scheduler"
    | "CloudWatch"
    | "CloudWatchLogs"
    | "STS"
    | "XRay";
  /** An error, or `success`. */
  readonly outcome: string;
  readonly operations: readonly string[] | "all";
  /** Of all: those that are seen nevertheless. */
  readonly except?: readonly string[];
  /** Some runs see it. */
  readonly isChance?: true;
}

export const EXCUSES: readonly Excuse[] = [
  {
    reason: "Its one parameter is deprecated and without effect at AWS as well.",
    client: "ECR",
    outcome: "InvalidParameterException",
    operations: ["GetAuthorizationToken"],
  },
  {
    reason: "Fewer tags are never too many.",
    client: "ECR",
    outcome: "TooManyTagsException",
    operations: ["UntagResource"],
  },
  {
    reason: "A 500 is a bug, or a sandbox that broke: there is no request that asks for one. Invocations are told of a broken sandbox.",
    client: "Lambda",
    outcome: "ServiceException",
    operations: "all",
    except: ["Invoke", "InvokeWithResponseStream"],
  },
  {
    reason: "The rate of the API's operations is not limited; invocations are, and are seen.",
    client: "Lambda",
    outcome: "TooManyRequestsException",
    operations: "all",
    except: ["Invoke", "InvokeWithResponseStream"],
  },
  {
    reason: "What breaks the model's own constraints is a ValidationException, as recorded on AWS; the operation has no rule beyond them.",
    client: "Lambda",
    outcome: "InvalidParameterValueException",
    operations: [
      "ListFunctions",
      "ListVersionsByFunction",
      "GetAlias",
      "DeleteAlias",
      "ListAliases",
      "ListFunctionEventInvokeConfigs",
      "GetFunctionRecursionConfig",
      "PutFunctionRecursionConfig",
      "GetResourcePolicy",
      "DeleteResourcePolicy",
      "ListFunctionUrlConfigs",
      "GetEventSourceMapping",
      "ListEventSourceMappings",
      "DeleteEventSourceMapping",
      "GetCodeSigningConfig",
      "UpdateCodeSigningConfig",
      "DeleteCodeSigningConfig",
      "ListCodeSigningConfigs",
      "ListFunctionsByCodeSigningConfig",
      "PutFunctionCodeSigningConfig",
      "GetFunctionCodeSigningConfig",
      "DeleteFunctionCodeSigningConfig",
    ],
  },
  {
    reason: "The deletion is unconditional, so nothing is in its way.",
    client: "Lambda",
    outcome: "ResourceConflictException",
    operations: [
      "DeleteAlias",
      "DeleteFunctionEventInvokeConfig",
      "DeleteFunctionConcurrency",
      "DeleteFunctionUrlConfig",
      "DeleteProvisionedConcurrencyConfig",
    ],
  },
  {
    reason: "A mapping in use answers ResourceInUseException.",
    client: "Lambda",
    outcome: "ResourceConflictException",
    operations: ["DeleteEventSourceMapping"],
  },
  {
    reason: "A filter that matches nothing is an empty list.",
    client: "Lambda",
    outcome: "ResourceNotFoundException",
    operations: ["ListEventSourceMappings"],
  },
  {
    reason: "A configuration that functions have can't be deleted, so none of them has one that is gone.",
    client: "Lambda",
    outcome: "CodeSigningConfigNotFoundException",
    operations: ["UpdateFunctionConfiguration", "UpdateFunctionCode", "GetFunctionCodeSigningConfig", "DeleteFunctionCodeSigningConfig"],
  },
  {
    reason: "A configuration has no code that a signature could be for.",
    client: "Lambda",
    outcome: "CodeVerificationFailedException",
    operations: ["UpdateFunctionConfiguration"],
  },
  {
    reason: "Only the buckets of another account are not one's own, and a server has one account; the test beside the source has two.",
    client: "S3",
    outcome: "BucketAlreadyExists",
    operations: ["CreateBucket"],
  },
  {
    reason: "What it would return can't be configured yet; it answers that there is none.",
    client: "S3",
    outcome: "success",
    operations: [
      "GetBucketCors",
      "GetBucketLifecycleConfiguration",
      "GetBucketReplication",
      "GetBucketWebsite",
      "GetObjectLockConfiguration",
    ],
  },
  {
    reason: "It names no queue by its address.",
    client: "SQS",
    outcome: "InvalidAddress",
    operations: ["CreateQueue", "GetQueueUrl", "ListQueues", "StartMessageMoveTask", "CancelMessageMoveTask", "ListMessageMoveTasks"],
  },
  {
    reason: "Nothing of the request could be of a kind that is not supported.",
    client: "SQS",
    outcome: "UnsupportedOperation",
    operations: [
      "GetQueueUrl",
      "ListQueues",
      "ListDeadLetterSourceQueues",
      "GetQueueAttributes",
      "PurgeQueue",
      "DeleteQueue",
      "SendMessageBatch",
      "ReceiveMessage",
      "DeleteMessage",
      "DeleteMessageBatch",
      "ChangeMessageVisibility",
      "ChangeMessageVisibilityBatch",
      "AddPermission",
      "RemovePermission",
      "TagQueue",
      "UntagQueue",
      "ListQueueTags",
      "StartMessageMoveTask",
      "CancelMessageMoveTask",
      "ListMessageMoveTasks",
    ],
  },
  {
    reason: "120000 messages in flight: tests/acceptance has the model.",
    client: "SQS",
    outcome: "OverLimit",
    operations: ["ReceiveMessage"],
  },
  {
    reason: "Neither attributes nor statements have a number that is too many.",
    client: "SQS",
    outcome: "OverLimit",
    operations: ["SetQueueAttributes", "AddPermission"],
  },
  {
    reason: "Only when two change the same thing in one moment, and which of them loses is chance; the tests of the resource race them.",
    client: "CloudWatchLogs",
    outcome: "OperationAbortedException",
    operations: ["CreateLogGroup", "DeleteLogGroup", "PutRetentionPolicy", "DeleteRetentionPolicy", "DeleteLogStream"],
    isChance: true,
  },
  {
    reason: "Only when two change the same thing in one moment, and which of them loses is chance; the tests of the resource race them.",
    client: "IAM",
    outcome: "ConcurrentModificationException",
    operations: [
      "CreateRole",
      "DeleteRole",
      "TagRole",
      "UntagRole",
      "CreateUser",
      "UpdateUser",
      "DeleteUser",
      "TagUser",
      "UntagUser",
      "CreatePolicy",
      "TagPolicy",
      "UntagPolicy",
    ],
    isChance: true,
  },
  {
    reason: "What breaks the model's own constraints is a ValidationError; the operation has no rule beyond them.",
    client: "IAM",
    outcome: "InvalidInputException",
    operations: [
      "AttachRolePolicy",
      "DetachRolePolicy",
      "ListAttachedRolePolicies",
      "AttachUserPolicy",
      "DetachUserPolicy",
      "ListAttachedUserPolicies",
      "GetPolicy",
      "ListEntitiesForPolicy",
      "ListPolicyTags",
      "GetPolicyVersion",
      "ListPolicyVersions",
    ],
  },
  {
    reason: "Shares its code with the tags of roles, where it is seen.",
    client: "IAM",
    outcome: "InvalidInputException",
    operations: ["TagUser", "CreatePolicy"],
  },
  {
    reason: "Shares its code with the same operation of roles, where it is seen.",
    client: "IAM",
    outcome: "LimitExceededException",
    operations: ["UpdateAssumeRolePolicy", "TagUser", "PutUserPolicy", "AttachUserPolicy", "TagPolicy"],
  },
  {
    reason: "It adds nothing that has a quota here.",
    client: "IAM",
    outcome: "LimitExceededException",
    operations: [
      "DeleteRole",
      "CreateUser",
      "UpdateUser",
      "DeleteUser",
      "UpdateAccessKey",
      "DeleteAccessKey",
      "DeleteRolePolicy",
      "DetachRolePolicy",
      "DeleteUserPolicy",
      "DetachUserPolicy",
      "DeletePolicy",
      "DeletePolicyVersion",
      "SetDefaultPolicyVersion",
    ],
  },
  {
    reason: "There are no permissions boundaries, whose policy could be missing.",
    client: "IAM",
    outcome: "NoSuchEntityException",
    operations: ["CreateUser"],
  },
  {
    reason: "It adds nothing that has a quota here.",
    client: "IAM",
    outcome: "LimitExceededException",
    operations: [
      "CreateServiceLinkedRole",
      "DeleteServiceLinkedRole",
      "CreateGroup",
      "UpdateGroup",
      "DeleteGroup",
      "RemoveUserFromGroup",
      "DeleteGroupPolicy",
      "DetachGroupPolicy",
    ],
  },
  {
    reason: "It names nothing that could be missing.",
    client: "IAM",
    outcome: "NoSuchEntityException",
    operations: ["CreateServiceLinkedRole", "CreateGroup"],
  },
  {
    reason: "What breaks the model's own constraints is a ValidationError; the operation has no rule beyond them.",
    client: "IAM",
    outcome: "InvalidInputException",
    operations: ["GetServiceLinkedRoleDeletionStatus", "AttachGroupPolicy", "DetachGroupPolicy", "ListAttachedGroupPolicies"],
  },
  {
    reason: "Deleting or confirming what is not there: the first succeeds, the second has a token that is wrong.",
    client: "SNS",
    outcome: "NotFoundException",
    operations: ["DeleteTopic", "Unsubscribe", "ConfirmSubscription"],
  },
  {
    reason: "It takes tags away.",
    client: "SNS",
    outcome: "TagLimitExceededException",
    operations: ["UntagResource"],
  },
  {
    reason: "Shares its check with Subscribe, where it is seen.",
    client: "SNS",
    outcome: "FilterPolicyLimitExceededException",
    operations: ["ConfirmSubscription"],
  },
  {
    reason: "Partner event sources, whose absence it would tell, are not built.",
    client: "EventBridge",
    outcome: "ResourceNotFoundException",
    operations: ["CreateEventBus"],
  },
  {
    reason: "The number of archives and replays is not limited here.",
    client: "EventBridge",
    outcome: "LimitExceededException",
    operations: ["CreateArchive", "UpdateArchive", "StartReplay"],
  },
  {
    reason: "It makes nothing that could be there already.",
    client: "EventBridge",
    outcome: "ResourceAlreadyExistsException",
    operations: ["DescribeArchive"],
  },
  {
    reason: "What it must have, the model requires too: its absence is a ValidationException.",
    client: "CloudWatch",
    outcome: "MissingRequiredParameterException",
    operations: ["GetMetricStatistics"],
  },
  {
    reason: "What is wrong with a document, a record or a rule's name is told of it in the answer; nothing else can be.",
    client: "XRay",
    outcome: "InvalidRequestException",
    operations: ["PutTraceSegments", "PutTelemetryRecords", "GetSamplingTargets"],
  },
  {
    reason: "A replay has the pattern of its archive.",
    client: "EventBridge",
    outcome: "InvalidEventPatternException",
    operations: ["StartReplay"],
  },
  {
    reason: "The number of schedules is not limited here; that of groups is, and is seen.",
    client: "Scheduler",
    outcome: "ServiceQuotaExceededException",
    operations: ["CreateSchedule", "UpdateSchedule", "GetSchedule", "DeleteSchedule"],
  },
  {
    reason: "Only when two change the same thing in one moment, and which of them loses is chance.",
    client: "Scheduler",
    outcome: "ConflictException",
    operations: ["UpdateSchedule", "DeleteSchedule", "DeleteScheduleGroup", "TagResource", "UntagResource"],
    isChance: true,
  },
  {
    reason: "What breaks the model's own constraints is a ValidationException, as recorded on AWS; the operation has no rule beyond them.",
    client: "Lambda",
    outcome: "InvalidParameterValueException",
    operations: ["GetLayerVersionByArn", "ListLayers", "ListLayerVersions", "ListProvisionedConcurrencyConfigs"],
  },
  {
    reason: "An event is accepted, whatever its function needs: it is only invoked later.",
    client: "Lambda",
    outcome: "InvalidRuntimeException",
    operations: ["InvokeAsync"],
  },
  {
    reason: "There are no capacity providers, so no function has a scaling configuration to be changed.",
    client: "Lambda",
    outcome: "ResourceConflictException",
    operations: ["PutFunctionScalingConfig"],
  },
  {
    reason: "There are no capacity providers, so no function has a scaling configuration.",
    client: "Lambda",
    outcome: "success",
    operations: ["GetFunctionScalingConfig", "PutFunctionScalingConfig"],
  },
];
