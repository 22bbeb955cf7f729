/*-------------------------------------------------------------------------
 *
 * merge_keys.c
 *	  What a patch has to know of Kubernetes' own kinds.
 *
 * Types first, those that others refer to before them, then the kinds.  All
 * versions of a group are alike here, unless a kind names its version.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "merge_keys.h"

#define TYPE(name, ...) \
	static const BuiltinField name##_fields[] = {__VA_ARGS__}; \
	static const BuiltinType name = { \
		.n_fields = lengthof(name##_fields), .fields = name##_fields}

/* A map, or a list that is a value whose items matter to nobody. */
#define MAP(field, t)			{.name = field, .type = t}
#define ATOMIC(field)			{.name = field, .atomic_map = true}
#define SET(field)				{.name = field, .list_keys = ""}
#define MERGED_SET(field)		{.name = field, .list_keys = "", .merge_key = ""}

/* A list by keys: of both kinds of patches, or of one. */
#define LIST(field, key, t)		{.name = field, .type = t, .list_keys = key, .merge_key = key}
#define LIST2(field, keys, key, t) \
	{.name = field, .type = t, .list_keys = keys, .merge_key = key}
#define APPLIED(field, keys, t)	{.name = field, .type = t, .list_keys = keys}
#define MERGED(field, key, t)	{.name = field, .type = t, .merge_key = key}

/* ------------------------------------------------------------------------
 * Types that several groups use
 * ------------------------------------------------------------------------
 */

static const BuiltinType atomic = {.atomic = true};

static const BuiltinField metadata_fields[] = {
	MERGED_SET("finalizers"),
	LIST("ownerReferences", "uid", &atomic),
};
const BuiltinType builtin_metadata = {
	.n_fields = lengthof(metadata_fields), .fields = metadata_fields
};

/* status of kinds whose conditions are told apart by their type */
TYPE(conditions_by_type, LIST("conditions", "type", NULL));

/* the same, of types whose conditions only one kind of patch merges */
TYPE(conditions_applied, APPLIED("conditions", "type", NULL));

/* ------------------------------------------------------------------------
 * core
 * ------------------------------------------------------------------------
 */

TYPE(env_source,
	 ATOMIC("fieldRef"), ATOMIC("resourceFieldRef"),
	 ATOMIC("configMapKeyRef"), ATOMIC("secretKeyRef"));
TYPE(env_variable, MAP("valueFrom", &env_source));
TYPE(resource_requirements, APPLIED("claims", "name", NULL));

TYPE(container,
	 LIST("env", "name", &env_variable),
	 LIST2("ports", "containerPort,protocol=TCP", "containerPort", NULL),
	 LIST("volumeMounts", "mountPath", NULL),
	 LIST("volumeDevices", "devicePath", NULL),
	 MAP("resources", &resource_requirements));

TYPE(claim_resources, MAP("requests", NULL));
TYPE(claim_spec,
	 ATOMIC("selector"), ATOMIC("dataSource"), MAP("resources", &claim_resources));
TYPE(claim_status, LIST("conditions", "type", NULL));
TYPE(claim_template, MAP("metadata", &builtin_metadata), MAP("spec", &claim_spec));
TYPE(ephemeral_volume, MAP("volumeClaimTemplate", &claim_template));
TYPE(volume_with_secret, ATOMIC("secretRef"));
TYPE(csi_volume, ATOMIC("nodePublishSecretRef"));
TYPE(volume,
	 MAP("csi", &csi_volume), MAP("rbd", &volume_with_secret), MAP("iscsi", &volume_with_secret),
	 MAP("cephfs", &volume_with_secret), MAP("cinder", &volume_with_secret),
	 MAP("scaleIO", &volume_with_secret), MAP("storageos", &volume_with_secret),
	 MAP("flexVolume", &volume_with_secret), MAP("ephemeral", &ephemeral_volume));

TYPE(node_affinity, ATOMIC("requiredDuringSchedulingIgnoredDuringExecution"));
TYPE(affinity, MAP("nodeAffinity", &node_affinity));

TYPE(pod_spec,
	 LIST("containers", "name", &container),
	 LIST("initContainers", "name", &container),
	 LIST("ephemeralContainers", "name", &container),
	 LIST("volumes", "name", &volume),
	 LIST("imagePullSecrets", "name", &atomic),
	 LIST("hostAliases", "ip", NULL),
	 LIST("schedulingGates", "name", NULL),
	 LIST("resourceClaims", "name", NULL),
	 LIST2("topologySpreadConstraints", "topologyKey,whenUnsatisfiable", "topologyKey", NULL),
	 MAP("affinity", &affinity),
	 ATOMIC("nodeSelector"));

TYPE(pod_status,
	 LIST("conditions", "type", NULL),
	 LIST("podIPs", "ip", NULL),
	 MERGED("hostIPs", "ip", NULL),
	 LIST("resourceClaimStatuses", "name", NULL));

TYPE(pod,
	 MAP("metadata", &builtin_metadata), MAP("spec", &pod_spec), MAP("status", &pod_status));
TYPE(pod_template_spec, MAP("metadata", &builtin_metadata), MAP("spec", &pod_spec));
TYPE(pod_template,
	 MAP("metadata", &builtin_metadata), MAP("template", &pod_template_spec));

TYPE(replication_controller_spec,
	 ATOMIC("selector"), MAP("template", &pod_template_spec));
TYPE(replication_controller,
	 MAP("metadata", &builtin_metadata), MAP("spec", &replication_controller_spec),
	 MAP("status", &conditions_by_type));

TYPE(service_spec,
	 LIST2("ports", "port,protocol=TCP", "port", NULL), ATOMIC("selector"));
TYPE(service,
	 MAP("metadata", &builtin_metadata), MAP("spec", &service_spec),
	 MAP("status", &conditions_by_type));

TYPE(service_account,
	 MAP("metadata", &builtin_metadata), LIST("secrets", "name", &atomic));

TYPE(node_config_source, ATOMIC("configMap"));
TYPE(node_spec, MERGED_SET("podCIDRs"), MAP("configSource", &node_config_source));
TYPE(node_status,
	 LIST("conditions", "type", NULL), LIST("addresses", "type", NULL));
TYPE(node,
	 MAP("metadata", &builtin_metadata), MAP("spec", &node_spec), MAP("status", &node_status));

TYPE(namespace_, MAP("metadata", &builtin_metadata), MAP("status", &conditions_by_type));
TYPE(component_status,
	 MAP("metadata", &builtin_metadata), LIST("conditions", "type", NULL));

TYPE(volume_node_affinity, ATOMIC("required"));
TYPE(volume_csi,
	 ATOMIC("nodePublishSecretRef"), ATOMIC("nodeStageSecretRef"), ATOMIC("nodeExpandSecretRef"),
	 ATOMIC("controllerPublishSecretRef"), ATOMIC("controllerExpandSecretRef"));
TYPE(persistent_volume_spec,
	 MAP("csi", &volume_csi), MAP("rbd", &volume_with_secret), MAP("iscsi", &volume_with_secret),
	 MAP("cephfs", &volume_with_secret), MAP("cinder", &volume_with_secret),
	 MAP("scaleIO", &volume_with_secret), MAP("flexVolume", &volume_with_secret),
	 MAP("nodeAffinity", &volume_node_affinity));
TYPE(persistent_volume,
	 MAP("metadata", &builtin_metadata), MAP("spec", &persistent_volume_spec));
TYPE(persistent_volume_claim,
	 MAP("metadata", &builtin_metadata), MAP("spec", &claim_spec), MAP("status", &claim_status));

TYPE(quota_spec, ATOMIC("scopeSelector"));
TYPE(resource_quota, MAP("metadata", &builtin_metadata), MAP("spec", &quota_spec));

TYPE(core_event,
	 MAP("metadata", &builtin_metadata), ATOMIC("involvedObject"), ATOMIC("regarding"),
	 ATOMIC("related"));

/* ConfigMap and whatever else has no lists to tell of */
TYPE(plain, MAP("metadata", &builtin_metadata));
TYPE(with_conditions, MAP("metadata", &builtin_metadata), MAP("status", &conditions_by_type));
TYPE(with_applied_conditions,
	 MAP("metadata", &builtin_metadata), MAP("status", &conditions_applied));

/* ------------------------------------------------------------------------
 * apps, batch
 * ------------------------------------------------------------------------
 */

TYPE(workload_spec, ATOMIC("selector"), MAP("template", &pod_template_spec));
TYPE(workload,
	 MAP("metadata", &builtin_metadata), MAP("spec", &workload_spec),
	 MAP("status", &conditions_by_type));

TYPE(uncounted_pods, SET("succeeded"), SET("failed"));
TYPE(job_status,
	 MERGED("conditions", "type", NULL), MAP("uncountedTerminatedPods", &uncounted_pods));
TYPE(job,
	 MAP("metadata", &builtin_metadata), MAP("spec", &workload_spec), MAP("status", &job_status));
TYPE(job_template, MAP("metadata", &builtin_metadata), MAP("spec", &workload_spec));
TYPE(cron_job_spec, MAP("jobTemplate", &job_template));
TYPE(cron_job, MAP("metadata", &builtin_metadata), MAP("spec", &cron_job_spec));

/* ------------------------------------------------------------------------
 * networking, rbac, policy, autoscaling
 * ------------------------------------------------------------------------
 */

TYPE(ingress_backend, ATOMIC("resource"));
TYPE(ingress_spec, MAP("defaultBackend", &ingress_backend));
TYPE(ingress, MAP("metadata", &builtin_metadata), MAP("spec", &ingress_spec));
TYPE(network_policy_spec, ATOMIC("podSelector"));
TYPE(network_policy,
	 MAP("metadata", &builtin_metadata), MAP("spec", &network_policy_spec),
	 MAP("status", &conditions_by_type));

TYPE(role_binding, MAP("metadata", &builtin_metadata), ATOMIC("roleRef"));

TYPE(disruption_budget_spec,
	 {.name = "selector", .atomic_map = true, .replaced_map = true});
TYPE(disruption_budget,
	 MAP("metadata", &builtin_metadata), MAP("spec", &disruption_budget_spec),
	 MAP("status", &conditions_by_type));

TYPE(autoscaler_1_spec, ATOMIC("scaleTargetRef"));
TYPE(autoscaler_1, MAP("metadata", &builtin_metadata), MAP("spec", &autoscaler_1_spec));

/* ------------------------------------------------------------------------
 * storage, and the groups of the cluster itself
 * ------------------------------------------------------------------------
 */

TYPE(csi_driver_spec, SET("volumeLifecycleModes"));
TYPE(csi_driver, MAP("metadata", &builtin_metadata), MAP("spec", &csi_driver_spec));
TYPE(csi_node_spec, LIST("drivers", "name", NULL));
TYPE(csi_node, MAP("metadata", &builtin_metadata), MAP("spec", &csi_node_spec));
TYPE(csi_capacity, MAP("metadata", &builtin_metadata), ATOMIC("nodeTopology"));

TYPE(webhook,
	 ATOMIC("namespaceSelector"), ATOMIC("objectSelector"),
	 LIST("matchConditions", "name", NULL));
TYPE(webhooks, MAP("metadata", &builtin_metadata), LIST("webhooks", "name", &webhook));
TYPE(admission_match,
	 ATOMIC("namespaceSelector"), ATOMIC("objectSelector"));
TYPE(admission_policy_spec,
	 LIST("matchConditions", "name", NULL), LIST("variables", "name", &atomic),
	 MAP("matchConstraints", &admission_match), ATOMIC("paramKind"));
TYPE(admission_policy,
	 MAP("metadata", &builtin_metadata), MAP("spec", &admission_policy_spec),
	 MAP("status", &conditions_applied));

TYPE(runtime_scheduling, ATOMIC("nodeSelector"));
TYPE(runtime_class,
	 MAP("metadata", &builtin_metadata), MAP("scheduling", &runtime_scheduling));

/* ------------------------------------------------------------------------
 * Kinds
 * ------------------------------------------------------------------------
 */

static const struct
{
	const char *group;
	const char *kind;
	const BuiltinType *type;
	const char *version;		/* NULL: any */
}			kinds[] =
{
	{"", "Pod", &pod},
	{"", "PodTemplate", &pod_template},
	{"", "ReplicationController", &replication_controller},
	{"", "Service", &service},
	{"", "ServiceAccount", &service_account},
	{"", "Endpoints", &plain},
	{"", "Node", &node},
	{"", "Namespace", &namespace_},
	{"", "ConfigMap", &plain},
	{"", "Secret", &plain},
	{"", "LimitRange", &plain},
	{"", "ResourceQuota", &resource_quota},
	{"", "PersistentVolume", &persistent_volume},
	{"", "PersistentVolumeClaim", &persistent_volume_claim},
	{"", "ComponentStatus", &component_status},
	{"", "Event", &core_event},
	{"events.k8s.io", "Event", &core_event},
	{"apps", "Deployment", &workload},
	{"apps", "ReplicaSet", &workload},
	{"apps", "StatefulSet", &workload},
	{"apps", "DaemonSet", &workload},
	{"apps", "ControllerRevision", &plain},
	{"batch", "Job", &job},
	{"batch", "CronJob", &cron_job},
	{"networking.k8s.io", "Ingress", &ingress},
	{"networking.k8s.io", "IngressClass", &plain},
	{"networking.k8s.io", "NetworkPolicy", &network_policy},
	{"networking.k8s.io", "IPAddress", &plain},
	{"networking.k8s.io", "ServiceCIDR", &with_conditions},
	{"rbac.authorization.k8s.io", "Role", &plain},
	{"rbac.authorization.k8s.io", "ClusterRole", &plain},
	{"rbac.authorization.k8s.io", "RoleBinding", &role_binding},
	{"rbac.authorization.k8s.io", "ClusterRoleBinding", &role_binding},
	{"policy", "PodDisruptionBudget", &disruption_budget},
	{"autoscaling", "HorizontalPodAutoscaler", &autoscaler_1, "v1"},
	{"autoscaling", "HorizontalPodAutoscaler", &with_conditions},
	{"storage.k8s.io", "StorageClass", &plain},
	{"storage.k8s.io", "VolumeAttachment", &plain},
	{"storage.k8s.io", "VolumeAttributesClass", &plain},
	{"storage.k8s.io", "CSIDriver", &csi_driver},
	{"storage.k8s.io", "CSINode", &csi_node},
	{"storage.k8s.io", "CSIStorageCapacity", &csi_capacity},
	{"coordination.k8s.io", "Lease", &plain},
	{"discovery.k8s.io", "EndpointSlice", &plain},
	{"scheduling.k8s.io", "PriorityClass", &plain},
	{"node.k8s.io", "RuntimeClass", &runtime_class},
	{"certificates.k8s.io", "CertificateSigningRequest", &with_applied_conditions},
	{"admissionregistration.k8s.io", "MutatingWebhookConfiguration", &webhooks},
	{"admissionregistration.k8s.io", "ValidatingWebhookConfiguration", &webhooks},
	{"admissionregistration.k8s.io", "ValidatingAdmissionPolicy", &admission_policy},
	{"apiextensions.k8s.io", "CustomResourceDefinition", &with_applied_conditions},
	{"apiregistration.k8s.io", "APIService", &with_conditions},
	{"flowcontrol.apiserver.k8s.io", "FlowSchema", &with_conditions},
	{"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", &with_conditions},
};

const BuiltinType *
builtin_kind(const ResourceKey *key)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i].kind, key->kind) == 0 &&
			strcmp(kinds[i].group, key->api_group) == 0 &&
			(kinds[i].version == NULL || strcmp(kinds[i].version, key->version) == 0))
			return kinds[i].type;
	}
	return NULL;
}

const BuiltinField *
builtin_field(const BuiltinType *type, const char *name, int length)
{
	for (int i = 0; i < type->n_fields; i++)
	{
		const BuiltinField *field = &type->fields[i];

		if (strncmp(field->name, name, length) == 0 && field->name[length] == '\0')
			return field;
	}
	return NULL;
}
